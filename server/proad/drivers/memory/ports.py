"""Ports inside imitated workloads, with the services that have had these numbers for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from proad.drivers.memory.commands import PIECES
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.workload import Workload
from proad.errors import CapabilityMissingError, ConnectionFailedError, ProaError
from proad.model import PIECE, ResourceKind
from proad.model.verbs import entering_refusal, run_over

_PAGE = b"hello from the imitated workload\n"
_ANSWER = (
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(_PAGE)
    + _PAGE
)


class MemoryPortConnection:
    """A connection to an imitated workload; see `ports.PortConnection`. This one echoes.

    Args:
        address: what it leads to, for people.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(PIECES)
        self._is_over = False
        self._gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        """Return what comes next."""
        if not self._is_over:
            piece = await self._unless_gone(self._pieces.get())
            self._is_over = not piece
            return piece
        return b""

    async def write(self, data: bytes) -> None:
        """Send to the service."""
        await self._say(data)

    def end_input(self) -> None:
        """End the own side."""
        self._ending = asyncio.ensure_future(self._pieces.put(b""))

    async def stopped(self) -> None:
        """Wait until the workload has ended."""
        await asyncio.shield(self._gone)

    def fail(self, failure: ProaError) -> None:
        """End it: the workload has."""
        if not self._gone.done():
            self._gone.set_exception(failure)
            self._gone.exception()  # it may be that nobody asks

    async def _say(self, data: bytes) -> None:
        await self._unless_gone(self._pieces.put(data))

    async def _unless_gone(self, work: Coroutine[Any, Any, bytes | None]) -> bytes:
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return await asyncio.shield(self._gone)
            return task.result() or b""
        finally:
            task.cancel()


class _Discard(MemoryPortConnection):
    """Takes all and sends nothing."""

    async def write(self, data: bytes) -> None:
        """Drop it."""


class _Zeros(MemoryPortConnection):
    """Sends zeros for ever."""

    async def read(self) -> bytes:
        """Return zeros."""
        await asyncio.sleep(0)
        return _ZEROS

    async def write(self, data: bytes) -> None:
        """Drop it."""


class _Page(MemoryPortConnection):
    """Answers any request with a page."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._request = b""

    async def write(self, data: bytes) -> None:
        """Take a request, and answer at its end."""
        self._request = (self._request + data)[-PIECE:]
        if b"\r\n\r\n" in self._request:
            self._request = b""
            await self._say(_ANSWER)
            await self._say(b"")


_ZEROS = bytes(PIECE)
_Service = Callable[[str], MemoryPortConnection]
_SERVICES: Mapping[int, _Service] = {
    7: MemoryPortConnection,
    9: _Discard,
    19: _Zeros,
    80: _Page,
}
_SOCKETS: Mapping[str, _Service] = {
    "/run/echo.sock": MemoryPortConnection,
    "/run/discard.sock": _Discard,
    "/run/chargen.sock": _Zeros,
    "/run/http.sock": _Page,
}


class MemoryPorts:
    """Connects to ports of imitated workloads: 7 echoes, 9 discards, 19 sends, 80 is a web server.

    Containers have the same servers at Unix sockets of /run: echo.sock, discard.sock, chargen.sock and
    http.sock.
    """

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def connect(self, id: str, port: int) -> AsyncIterator[MemoryPortConnection]:
        """Connect to a port; see `ports.PortForwarding`."""
        workload = self._running(id)
        service = _SERVICES.get(port)
        async with _connected(workload, service, port, f"127.0.0.1:{port}") as connection:
            yield connection

    @asynccontextmanager
    async def connect_socket(self, id: str, path: str) -> AsyncIterator[MemoryPortConnection]:
        """Connect to a Unix socket; see `ports.SocketForwarding`."""
        workload = self._running(id)
        if workload.resource.kind is not ResourceKind.CONTAINER:
            raise CapabilityMissingError("connections to Unix sockets of a domain", driver=NAME)
        async with _connected(workload, _SOCKETS.get(path), path, path) as connection:
            yield connection

    def _running(self, id: str) -> Workload:
        workload = self._engine.workload(id)
        if error := entering_refusal(workload.resource):
            raise error
        return workload


@asynccontextmanager
async def _connected(
    workload: Workload, service: _Service | None, place: int | str, address: str
) -> AsyncIterator[MemoryPortConnection]:
    """Connect to a service of a workload, until that ends.

    Raises:
        ConnectionFailedError: there is none.
    """
    if service is None:
        raise ConnectionFailedError(place, "refused")
    connection = service(address)
    watching = asyncio.create_task(_end_with(workload, connection))
    try:
        yield connection
    finally:
        watching.cancel()


async def _end_with(workload: Workload, connection: MemoryPortConnection) -> None:
    await workload.over.wait()
    connection.fail(run_over(workload.resource))
