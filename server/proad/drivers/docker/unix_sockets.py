"""Connections to Unix sockets inside containers."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from weakref import WeakValueDictionary

from proad.drivers.docker.container_root import (
    ContainerRoot,
    HostFilesError,
    UnsupportedHostError,
    obstacle,
)
from proad.drivers.docker.container_run import ContainerRun
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.reader import ContainerReader
from proad.drivers.docker.unix_connection import UnixConnection, unix_socket
from proad.drivers.exhausted import exhausted, is_exhausted
from proad.drivers.own_thread import on_own_thread
from proad.drivers.tcp_connection import CONNECT_TIMEOUT
from proad.errors import CapabilityMissingError, ConnectionFailedError, InvalidArgumentError
from proad.model import Resource
from proad.model.verbs import run_over
from proad.unix_streams import hang_up

_FIELD = "start.socket_path"
_HINT = (
    "only a daemon with CAP_SYS_PTRACE, CAP_SETGID and CAP_SETUID on the host of the containers may look "
    "into their files"
)
# Threads of a container at a time: a file system of its may let one wait for ever.
_THREADS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED})


class ContainerSockets:
    """Connects to Unix sockets inside containers.

    Args:
        reader: reads the containers.
        is_on_this_host: whether the engine's containers are on this host.
        limit: of a connection.

    Attributes:
        obstacle: why there are none at all; empty: there may be some.
    """

    def __init__(
        self,
        reader: ContainerReader,
        *,
        is_on_this_host: bool,
        limit: timedelta = CONNECT_TIMEOUT,
    ) -> None:
        self._reader = reader
        self.obstacle = obstacle() if is_on_this_host else "its engine is on another host"
        self._limit = limit
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def connect(self, id: str, path: str) -> AsyncIterator[UnixConnection]:
        """Connect to a socket; see `ports.SocketForwarding`."""
        resource = await self._reader.running(id)
        run = self._run_of(resource)
        turns = self._turns.setdefault(id, asyncio.Semaphore(_THREADS))
        try:
            if run is None or run.held is None:
                raise _missing("this daemon may not look into it")
            carrier = await self._connected(run.held, path, turns)
            connection = UnixConnection(carrier, path)
            try:
                run.let_go()
                run.on_end(lambda: connection.fail(run_over(resource)))
                yield connection
            finally:
                connection.close()
        finally:
            if run is not None:
                run.close()

    def _run_of(self, resource: Resource) -> ContainerRun[ContainerRoot] | None:
        if self.obstacle:
            raise _missing(self.obstacle)
        pid = resource.container.pid if resource.container else 0
        try:
            return ContainerRun.of(pid, resource.id, ContainerRoot.of) if pid else None
        except HostFilesError:
            raise _missing("its files are those of its host") from None
        except OSError as error:
            raise exhausted(ENGINE, error) from None

    async def _connected(
        self, root: ContainerRoot, path: str, turns: asyncio.Semaphore
    ) -> socket.socket:
        """Return a socket that is connected to one of a container."""
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                while True:
                    try:
                        return await self._attempt(root, path, turns)
                    except BlockingIOError:  # its queue is full, or names were changed meanwhile
                        await asyncio.sleep(pause)
                        pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError:
            raise ConnectionFailedError(path, "timed out") from None
        except UnsupportedHostError:
            raise _missing(
                "this daemon may not become its user 0, or the kernel is too old"
            ) from None
        except OSError as error:
            raise _failure(error, path) from None

    async def _attempt(
        self, root: ContainerRoot, path: str, turns: asyncio.Semaphore
    ) -> socket.socket:
        await turns.acquire()
        try:
            held = root.copy()
        except OSError:
            turns.release()
            raise

        def ended() -> None:
            held.close()
            turns.release()

        return await on_own_thread(
            lambda: _connect(held, path),
            name="docker-socket",
            dispose=hang_up,
            ended=ended,
        )


def _connect(root: ContainerRoot, path: str) -> socket.socket:
    """Return a socket that is connected to one below a root, as its user 0. The thread stays that.

    Raises:
        InvalidArgumentError: there is something else, or something that is not to be followed.
        UnsupportedHostError: this process may not do that.
        OSError: it cannot be connected.
    """
    root.become_its_user()
    try:
        found = root.open(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidArgumentError.of(
                _FIELD, "must not lead in a circle, or over a link of /proc"
            ) from None
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgumentError.of(_FIELD, "must have names of 255 bytes at most") from None
        raise
    try:
        if not stat.S_ISSOCK(os.fstat(found).st_mode):
            raise InvalidArgumentError.of(
                _FIELD, "must be a Unix socket, and something else is there"
            )
        made = unix_socket()
        try:
            made.connect(f"/proc/self/fd/{found}")  # what was looked at, and not its name again
        except BaseException:
            made.close()
            raise
    finally:
        os.close(found)
    return made


def _failure(error: OSError, path: str) -> Exception:
    if is_exhausted(error):
        return exhausted(ENGINE, error)
    if error.errno in _NOT_THERE:
        return ConnectionFailedError(path, "refused")
    if error.errno == errno.EACCES:
        return ConnectionFailedError(path, "denied")
    if error.errno == errno.EPROTOTYPE:
        return InvalidArgumentError.of(
            _FIELD, "must be a stream socket, and one of another type is there"
        )
    return ConnectionFailedError(path, "unreachable")


def _missing(why: str) -> CapabilityMissingError:
    return CapabilityMissingError(
        f"connections to Unix sockets of a container, since {why}", driver=ENGINE, hint=_HINT
    )
