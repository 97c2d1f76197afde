"""A private registry on loopback, and a slow proxy in front of it."""

import asyncio
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from free_port import free_port

USER, PASSWORD = "alice", "Sesam öffne dich"
_CHUNK = 2**16


def find_registry() -> str | None:
    """Return the path of Debian's docker-registry, if it is installed."""
    return shutil.which("docker-registry")


@contextmanager
def serve_registry(
    folder: Path, *, closed: bool = False, password: str = PASSWORD
) -> Iterator[str]:
    """Run a registry, which requires the password if `closed`, and yield its address."""
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    if closed:
        # The registry knows one of the names that the same algorithm goes by.
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, prefix=b"2a")).decode()
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        settings["auth"] = {"htpasswd": {"realm": "x", "path": str(folder / "htpasswd")}}
    config = folder / "config.yml"
    config.write_text(json.dumps(settings))  # JSON is YAML, too
    with (folder / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(f"http://{address}/v2/")
            yield address
        finally:
            process.terminate()
            process.wait(30)


@dataclass
class SlowRoad:
    """A way to a server that gets slow after the first bytes of each connection.

    Attributes:
        blocked: requests that have this in them get no answer at all.
        stuck: connections of such requests that are open.
    """

    address: str
    travellers: set[asyncio.Task[None]] = field(default_factory=set)
    blocked: bytes = b""
    stuck: int = 0


@asynccontextmanager
async def slow_road(server: str) -> AsyncIterator[SlowRoad]:
    host, _, port = server.partition(":")

    async def travel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        road.travellers.add(task)
        there, back = None, None
        try:
            request = await reader.read(_CHUNK)  # or a greeting of TLS
            if road.blocked and road.blocked in request:
                road.stuck += 1
                await reader.read()
                road.stuck -= 1
                return
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            far_writer.write(request)
            there = asyncio.create_task(_carry(reader, far_writer, slow=False))
            back = asyncio.create_task(_carry(far_reader, writer, slow=True))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            far_writer.close()
        finally:
            for carrier in filter(None, (there, back)):
                carrier.cancel()
            writer.close()
            road.travellers.discard(task)

    listener = await asyncio.start_server(travel, "127.0.0.1", 0)
    road = SlowRoad(f"127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    try:
        yield road
    finally:
        listener.close()
        for task in list(road.travellers):
            task.cancel()
        await asyncio.gather(*road.travellers, return_exceptions=True)
        await listener.wait_closed()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
    carried = 0
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
            carried += len(data)
            if slow and carried > _CHUNK:
                await asyncio.sleep(0.2)
    except ConnectionError:
        return


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as error:  # it wants a password: it is there
            error.close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
