"""The ports of a driver that connects to ports and Unix sockets inside resources."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable


class PortConnection(Protocol):
    """A connection to a port or a Unix socket inside a resource. Its methods are for the event loop."""

    @property
    def address(self) -> str:
        """The address and port, or the path, that it leads to, for people."""

    async def read(self) -> bytes:
        """Return what the peer sends next, at most 64 KiB; nothing once it has ended its side.

        Nothing is read ahead of the caller by more than a few pieces: a peer waits.

        Raises:
            ConnectionFailedError: the connection broke.
            StateError: the resource, or this run of it, has ended.
        """

    async def write(self, data: bytes) -> None:
        """Send to the peer; wait while it does not read.

        Raises:
            ConnectionFailedError: the connection broke.
            StateError: as `read` raises.
        """

    def end_input(self) -> None:
        """End the own side; go on reading."""

    async def stopped(self) -> None:
        """Wait until the resource, or this run of it, has ended, as far as the driver can tell.

        Raises:
            StateError: it has.
        """


@runtime_checkable
class PortForwarding(Protocol):
    """Connections to ports inside resources."""

    def connect_port(self, id: str, port: int) -> AbstractAsyncContextManager[PortConnection]:
        """Connect to a TCP port of a resource, for as long as the block runs.

        What a resource, or anybody inside of it, says of its addresses is not believed: never is
        the connection one to this host, to another resource, or to any other host.

        Raises:
            StateError: the resource is not RUNNING.
            ConnectionFailedError: nobody listens there, or nobody answers in time.
            CapabilityMissingError: there is no address that can be connected to.
        """


@runtime_checkable
class SocketForwarding(Protocol):
    """Connections to Unix sockets inside resources."""

    def connect_socket(self, id: str, path: str) -> AbstractAsyncContextManager[PortConnection]:
        """Connect to a Unix stream socket of a resource, for as long as the block runs.

        The path is one inside the resource: whatever its links say, it leads to nothing that a
        process of the resource could not reach. Nothing but a socket is opened, and no descriptor
        that a peer sends is taken.

        Args:
            id: full id of the resource.
            path: absolute path of the socket.

        Raises:
            StateError: the resource is not RUNNING.
            ConnectionFailedError: nobody listens there, or nobody answers in time.
            InvalidArgumentError: something else than a stream socket is there, or the path leads over
                a link that is not followed.
            CapabilityMissingError: this process may not look into the resource.
        """
