"""An engine that has one file, and answers with whatever archive a test gives it."""

import asyncio
import base64
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from proad.drivers.docker import DockerDriver

ID = "ab" * 32


def member(name: str = "file", data: bytes = b"data", **fields: Any) -> bytes:
    """Return a member of an archive; its other fields are those of a TarInfo."""
    made = tarfile.TarInfo(name)
    made.size = len(data)
    for field, value in fields.items():
        setattr(made, field, value)
    header = made.tobuf(tarfile.PAX_FORMAT)
    return header + data + bytes(-len(data) % 512)


END = bytes(1024)


class ArchiveEngine:
    """Answers calls about one container.

    Attributes:
        archive: the archive of the file.
        told: what is told of it, beside what is usual.
        link: what is told of a link, by its path.
        header: what is told of it, as it stands in the header; empty: as `told` says.
        stays: whether an answer goes on without an end after the archive.
        refusal: status and text of the answer to an upload; None: it is taken.
        uploads: the archives that came.
        hung_up: connections that the driver has ended early.
    """

    def __init__(self) -> None:
        self.archive = member() + END
        self.told: dict[str, Any] = {}
        self.links: dict[str, str] = {}
        self.header = ""
        self.stays = False
        self.refusal: tuple[int, str] | None = None
        self.uploads: list[bytes] = []
        self.hung_up = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, *_ = request.split(" ")
        path, _, query = target.removeprefix("/v1.41").partition("?")
        if path == "/version":
            self._say(writer, 200, json.dumps({"ApiVersion": "1.41", "Version": "0"}).encode())
        elif path.endswith("/json"):
            self._say(writer, 200, b'{"State": {"Running": true}}')
        elif method == "PUT":
            length = int(request.lower().partition("content-length: ")[2].split("\r\n")[0])
            self.uploads.append(await reader.readexactly(length))
            status, text = self.refusal or (200, "")
            self._say(writer, status, json.dumps({"message": text}).encode())
        else:
            told = self.header or self._told(query)
            header = f"X-Docker-Container-Path-Stat: {told}\r\n".encode()
            if method == "HEAD":
                self._say(writer, 200 if told else 404, b"", header)
            else:
                head = b"HTTP/1.1 200 OK\r\n" + header + b"Transfer-Encoding: chunked\r\n\r\n"
                writer.write(head + b"%x\r\n" % len(self.archive) + self.archive + b"\r\n")
                if self.stays:
                    try:
                        await reader.read()
                    finally:  # who hangs up with bytes unread resets the connection
                        self.hung_up.set()
                    return
                writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _told(self, query: str) -> str:
        path = query.partition("path=")[2].split("&")[0].replace("%2F", "/")
        mode = 0o644 if path.endswith("/file") else (1 << 31) | 0o755
        told = {"name": "file", "size": 4, "mode": mode, "mtime": "2026-01-01T00:00:00Z"}
        told |= self.told if path.endswith("/file") else {}
        if path in self.links:
            told |= {"mode": 1 << 27, "linkTarget": self.links[path]}
        return base64.b64encode(json.dumps(told).encode()).decode()

    @staticmethod
    def _say(writer: asyncio.StreamWriter, status: int, body: bytes, header: bytes = b"") -> None:
        length = f"Content-Length: {len(body)}\r\n".encode()
        writer.write(f"HTTP/1.1 {status} -\r\n".encode() + header + length + b"\r\n" + body)


@asynccontextmanager
async def engine_with_archive(folder: Path) -> AsyncIterator[tuple[ArchiveEngine, DockerDriver]]:
    """Serve an engine in a folder, with a driver for it."""
    engine = ArchiveEngine()
    server = await asyncio.start_unix_server(engine.serve, folder / "engine.sock")
    try:
        async with DockerDriver(
            f"unix://{folder}/engine.sock", timeout=timedelta(seconds=10)
        ) as driver:
            yield engine, driver
    finally:
        server.close()
