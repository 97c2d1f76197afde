"""Sockets in the network namespaces of containers.

What such a socket connects to is what a process of the container would: its loopback is the
container's. The namespace is opened by the container's main process, and is never that of the host.
"""

import asyncio
import ctypes
import errno
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from proad.drivers.docker.process_group import is_of_container
from proad.drivers.exhausted import is_exhausted
from proad.drivers.tcp_connection import tcp_socket
from proad.drivers.threads import call_soon_threadsafe

_CLONE_NEWNET = 0x40000000
_OURS, _OF_THE_HOST = Path("/proc/self/ns/net"), Path("/proc/1/ns/net")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class HostNetworkError(Exception):
    """The network of a container is that of the host."""


class ContainerRun:
    """A run of a container, as its main process, held so that no other process is ever meant.

    Args:
        fd: the main process.
        namespace: its network namespace; None: it is out of reach.
    """

    def __init__(self, fd: int, namespace: int | None) -> None:
        self._fd = fd
        self._namespace = namespace
        self._loop = asyncio.get_running_loop()

    @classmethod
    def of(cls, pid: int, container: str, *, is_joined: bool) -> Self | None:
        """Return the run of a container by its main process; None: that is out of sight, or over.

        Args:
            pid: number of the main process.
            container: id of the container.
            is_joined: whether it uses the network of another container.

        Raises:
            HostNetworkError: its network is that of the host.
            OSError: there is no descriptor or no memory left to see that.
        """
        try:
            fd = os.pidfd_open(pid)
        except OSError as error:
            if is_exhausted(error):
                raise
            return None
        run = cls(fd, None)
        try:
            if is_of_container(pid, container):
                run._namespace = _namespace_of(pid, is_joined=is_joined)
                # All of it is told of this process, if that is still there now.
                if not select.select([fd], [], [], 0)[0]:
                    return run
        except BaseException:
            run.close()
            raise
        run.close()
        return None

    async def sockets(self) -> list[socket.socket]:
        """Return a socket of each family of addresses, within the container's network.

        Raises:
            OSError: this process may not enter it, or has nothing left for that.
        """
        if self._namespace is None:
            raise PermissionError("the namespace is out of reach")
        made: asyncio.Future[list[socket.socket]] = self._loop.create_future()

        def deliver(outcome: list[socket.socket] | OSError) -> None:
            if isinstance(outcome, OSError):
                if not made.done():
                    made.set_exception(outcome)
            elif made.done():  # nobody waits any more
                for each in outcome:
                    each.close()
            else:
                made.set_result(outcome)

        # The thread stays in the namespace: it does this, and ends.
        namespace = os.dup(self._namespace)
        try:
            threading.Thread(
                target=_make,
                args=(namespace, lambda it: call_soon_threadsafe(self._loop, deliver, it)),
                name="docker-namespace",
                daemon=True,
            ).start()
        except RuntimeError:
            os.close(namespace)
            raise OSError(errno.ENOMEM, "there is no thread left") from None
        return await made

    def on_end(self, call: Callable[[], None]) -> None:
        """Call `call` once, when the main process has ended."""

        def ended() -> None:
            self._loop.remove_reader(self._fd)
            call()

        self._loop.add_reader(self._fd, ended)

    def close(self) -> None:
        """Let it go."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._namespace is not None:
            os.close(self._namespace)


def _namespace_of(pid: int, *, is_joined: bool) -> int | None:
    """Return the network namespace of a process; None: it is out of reach.

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
            return found
    except BaseException:
        os.close(found)
        raise
    os.close(found)
    return None


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


def _make(namespace: int, deliver: Callable[[list[socket.socket] | OSError], None]) -> None:
    """Enter a namespace on this thread, and deliver sockets of it."""
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
    except OSError as error:
        for each in made:
            each.close()
        deliver(error)
    else:
        deliver(made)
    finally:
        os.close(namespace)
