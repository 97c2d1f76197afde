"""Unix sockets in running containers, whose servers are tests: hostile ones, too."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from proad.model import Resource
from requirements import skip_or_fail
from resource_details import container_of


def inside(of: Resource | int, path: str) -> str:
    """Return how this host names a path in a container; that, or its main process, is `of`."""
    pid = of if isinstance(of, int) else container_of(of).pid
    root = f"/proc/{pid}/root"
    if os.geteuid() != 0 or not Path(root).is_dir():
        skip_or_fail("it takes root on the host of the containers to reach into them")
    return root + path


@contextmanager
def bound(where: str, sort: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """Bind a socket to a path."""
    with socket.socket(socket.AF_UNIX, sort) as server:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
        server.bind(where)
        yield server


@contextmanager
def listening_at(of: Resource | int, path: str, *, backlog: int = 100) -> Iterator[socket.socket]:
    """Listen on a socket in a container."""
    with bound(inside(of, path)) as server:
        server.listen(backlog)
        server.settimeout(30)
        yield server


@asynccontextmanager
async def echoing_at(resource: Resource, path: str) -> AsyncIterator[None]:
    """Echo what comes to a socket in a container."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    with bound(inside(resource, path)) as listener:
        listener.listen(200)
        server = await asyncio.start_unix_server(echo, sock=listener.dup())
        try:
            yield
        finally:
            server.close()
