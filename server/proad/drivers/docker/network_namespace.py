"""Sockets in the network namespaces of containers.

What such a socket connects to is what a process of the container would: its loopback is the
container's. The namespace is opened by the container's main process, and is never that of the host.
"""

import ctypes
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from proad.drivers.exhausted import is_exhausted
from proad.drivers.own_thread import on_own_thread
from proad.drivers.tcp_connection import tcp_socket

_CLONE_NEWNET = 0x40000000
_OURS, _OF_THE_HOST = Path("/proc/self/ns/net"), Path("/proc/1/ns/net")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class HostNetworkError(Exception):
    """The network of a container is that of the host."""


class NetworkNamespace:
    """The network namespace of a container.

    Args:
        fd: the namespace.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def of(cls, pid: int, *, is_joined: bool) -> "NetworkNamespace | None":
        """Return the network namespace of a process; None: it is out of reach.

        Args:
            pid: number of the process.
            is_joined: whether its container uses the network of another container.

        Raises:
            HostNetworkError: it is that of the host.
            OSError: there is no descriptor or no memory left to see that.
        """
        try:
            found = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if is_exhausted(error):
                raise
            return None
        try:
            if _is_private(os.fstat(found), is_joined=is_joined):
                return cls(found)
        except BaseException:
            os.close(found)
            raise
        os.close(found)
        return None

    async def sockets(self) -> list[socket.socket]:
        """Return a socket of each family of addresses, within the namespace.

        Raises:
            OSError: this process may not enter it, or has nothing left for that.
        """
        namespace = os.dup(self._fd)
        # The thread stays in the namespace.
        return await on_own_thread(
            lambda: _made(namespace),
            name="docker-namespace",
            dispose=_close,
            ended=lambda: os.close(namespace),
        )

    def close(self) -> None:
        """Let it go."""
        os.close(self._fd)


def _is_private(namespace: os.stat_result, *, is_joined: bool) -> bool:
    """Return whether a namespace is known to be none of the host.

    Raises:
        HostNetworkError: it is the host's.
    """
    try:
        known = [_OURS.stat(), _OF_THE_HOST.stat()]
    except OSError as error:
        if is_exhausted(error):
            raise
        # The host's is not shown: what the engine tells must do. Of one that is joined, that is
        # nothing.
        known = [_OURS.stat()]
        is_private = not is_joined
    else:
        is_private = True
    if any(os.path.samestat(namespace, each) for each in known):
        raise HostNetworkError
    return is_private


def _made(namespace: int) -> list[socket.socket]:
    """Enter a namespace on this thread, and return sockets of it."""
    made: list[socket.socket] = []
    try:
        # Python has the call from 3.12 on.
        if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))  # noqa: TRY301 - as Python's own would
        for family in _FAMILIES:
            try:
                made.append(tcp_socket(family))
            except OSError as error:
                if is_exhausted(error):
                    raise
                # A kernel may lack IPv6.
    except OSError:
        _close(made)
        raise
    return made


def _close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()
