"""A scripted engine on a real socket: it answers and reports what the test defines."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from proad.drivers.docker import DockerDriver
from proad.drivers.docker.signal_shell import MARK

_PING = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}


class ScriptedEngine:
    """Answers calls, and sends the events given to `tell`.

    Attributes:
        calls: how often each was made, such as "POST /containers/…/pause".
        listed: the entries of a list.
        hung: ids of the containers whose inspect is not answered until they `go_on`.
        statuses: of the answers to changes, where that is not 204.
        gate: what answers to changes wait for.
        said: what comes on the connection of a command, before its end.
        inspected: what is told of a command, one after the other; the last one again and again.
        container: what is told of a container.
        raw: answers to the byte, which may have no end, by the ends of paths.
        sent: bytes of such an answer that were taken.
        hung_up: set when the driver has hung up on such an answer.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.listed: list[dict[str, Any]] = []
        self.hung: set[str] = set()
        self.go_on = asyncio.Event()
        self.statuses: dict[str, HTTPStatus] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.said = b""
        self.inspected: list[Any] = []
        self.container: dict[str, Any] = {}
        self.raw: dict[str, Iterable[bytes]] = {}
        self.sent = 0
        self.hung_up = asyncio.Event()
        self._listeners: list[asyncio.StreamWriter] = []
        self._over = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    async def tell(self, action: str, *ids: str) -> None:
        """Send an event of each of these containers."""
        for id in ids:
            event = {"Type": "container", "Action": action, "Actor": {"ID": id}}
            for listener in self._listeners:
                line = json.dumps(event).encode() + b"\n"
                listener.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                await listener.drain()

    def hang_up(self) -> None:
        """End the streams of events."""
        self._over.set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        """End all connections."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                method, target, *_ = request.decode().split(" ")
                length = re.search(rb"(?i)content-length: (\d+)", request)
                sent = await reader.readexactly(int(length[1])) if length else b""
                path = "/" + target.split("?")[0].removeprefix("/v1.41").removeprefix("/")
                if (shell := _of_shell(path, sent)) is not None:
                    writer.write(shell)
                    await writer.drain()
                    continue
                if (raw := self.raw.get(path.rpartition("/")[2])) is not None:
                    await self._say(raw, reader, writer)
                    return
                if path == "/events":
                    writer.write(_head(HTTPStatus.OK) + b"Transfer-Encoding: chunked\r\n\r\n")
                    self._listeners.append(writer)
                    await self._over.wait()
                    return
                if path.startswith("/exec/") and path.endswith("/start"):
                    writer.write(_head(HTTPStatus.SWITCHING_PROTOCOLS) + b"\r\n" + self.said)
                    return
                if (answer := self._of_command(path)) is None:
                    answer = await self._content(method, path)
                status, content = answer
                body = b"" if content is None else json.dumps(content).encode()
                size = b"" if content is None else f"Content-Length: {len(body)}\r\n".encode()
                writer.write(_head(status) + size + b"\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the driver has hung up
        finally:
            writer.close()

    async def _say(
        self, raw: Iterable[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            for piece in raw:
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)
            writer.write_eof()
            while await reader.read(1024):
                pass
        except ConnectionError:
            pass
        finally:
            self.hung_up.set()

    def _of_command(self, path: str) -> tuple[HTTPStatus, Any] | None:
        match path.strip("/").split("/"):
            case ["containers", _, "exec"]:
                return HTTPStatus.CREATED, {"Id": "e" * 64}
            case ["exec", _, "json"]:
                told = self.inspected.pop(0) if len(self.inspected) > 1 else self.inspected[0]
                return HTTPStatus.OK, told
        return None

    async def _content(self, method: str, path: str) -> tuple[HTTPStatus, Any]:
        self.calls[f"{method} {path}"] += 1
        match method, path.strip("/").split("/"):
            case _, ["version"]:
                return HTTPStatus.OK, {"ApiVersion": "1.41", "Version": "0"}
            case _, ["_ping"]:
                return HTTPStatus.OK, {}
            case "GET", ["containers", "json"]:
                return HTTPStatus.OK, self.listed
            case "GET", ["containers", id, "json"]:
                if id in self.hung:
                    await self.go_on.wait()
                return HTTPStatus.OK, self.container
            case "GET", ["images", _, "json"]:
                return HTTPStatus.NOT_FOUND, {"message": "no"}
            case "POST", ["containers", _, action]:
                await self.gate.wait()
                status = self.statuses.get(action, HTTPStatus.NO_CONTENT)
                return status, None if status is HTTPStatus.NO_CONTENT else {"message": "no"}
        raise AssertionError(path)


_SHELL = "f" * 64


@asynccontextmanager
async def scripted(
    folder: Path, *, limit: timedelta = timedelta(seconds=30), **settings: Any
) -> AsyncIterator[tuple[ScriptedEngine, DockerDriver]]:
    """Serve an engine in a folder, with a driver for it that has this limit of time and these settings."""
    engine = ScriptedEngine()
    server = await asyncio.start_unix_server(engine.serve, folder / "engine.sock")
    try:
        async with DockerDriver(
            f"unix://{folder}/engine.sock", timeout=limit, **settings
        ) as driver:
            yield engine, driver
    finally:
        server.close()
        await engine.close()


def _of_shell(path: str, sent: bytes) -> bytes | None:
    """Return the answer to a call about a shell that sends signals, which no container has here."""
    body: dict[str, Any] = {}
    if path.endswith("/exec") and MARK.encode() in sent:
        body = {"Id": _SHELL}
    elif path.startswith(f"/exec/{_SHELL}"):
        body = {"Running": False, "ExitCode": 127}
    if not body:
        return None
    text = json.dumps(body).encode()
    return _head(HTTPStatus.OK) + f"Content-Length: {len(text)}\r\n\r\n".encode() + text


def _head(status: HTTPStatus) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in _PING.items()]
    return "".join(f"{line}\r\n" for line in lines).encode()
