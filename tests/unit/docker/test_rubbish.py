"""An engine that answers rubbish where streams of commands, consoles and logs are to come."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from proad.drivers.docker import DockerDriver
from proad.drivers.docker.frames import Frames
from proad.drivers.docker.http import transport
from proad.drivers.docker.http.body import Chunks
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
)
from proad.model import CommandSpec, CommandStreams, ConsoleOptions, LogOptions
from unit.docker.scripted import ScriptedEngine, scripted

CONTAINER = "c" * 64
NOBODY = 2**22 + 1  # no process has a number beyond the kernel's largest limit
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
KINDS = ["logs", "attach", "start"]
# Of an answer without an end: what sockets, readers and the limits on headers take.
MOST_TAKEN = 16 * 2**20
PIECE = bytes(64 * 2**10)

FRAME = b"\1\0\0\0\0\0\0\4text"
HUGE = b"\1\0\0\0\xff\xff\xff\xff"
BAD_FRAMES = {
    "another output": b"\4\0\0\0\0\0\0\4text",
    "text": b"HTTP is spoken here",
    "no zeros": b"\1\0\1\0\0\0\0\4text",
    "a cut header": FRAME + FRAME[:5],
    "a cut frame": FRAME + FRAME[:-1],
    "a frame of 4 GiB that is cut": HUGE + PIECE,
}
BAD_CHUNKS = {
    "a size without an end": b"f" * 300,
    "a size of many digits": b"f" * 16 + b"\r\n",
    "a negative size": b"-4\r\ntext\r\n",
    "a size in Python's words": b"0x4\r\ntext\r\n",
    "a size with a line between": b"1_0\r\n0123456789012345\r\n",
    "no size": b"\r\ntext\r\n",
    "more than the size": b"4\r\ntexts\r\n",
    "an extension without an end": b"4;" + b"x" * 300,
    "an extension that is long": b"4;" + b"x" * 300 + b"\r\ntext\r\n",
}


@asynccontextmanager
async def answering(
    kind: str, raw: Iterable[bytes], seconds: float = 30
) -> AsyncIterator[tuple[ScriptedEngine, DockerDriver]]:
    """Serve an engine that answers one kind of calls to the byte."""
    limit = timedelta(seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="proa-test-") as folder:
        async with scripted(Path(folder), limit=limit) as (engine, driver):
            state = {"Running": True, "Status": "running", "StartedAt": "2026-01-01T00:00:00Z"}
            engine.container = {"Id": CONTAINER, "State": state, "Config": {}}
            engine.inspected = [{"Running": True, "Pid": NOBODY, "ExitCode": None}]
            engine.raw = {kind: raw}
            yield engine, driver


async def taken(kind: str, driver: DockerDriver, most: int = 10**9) -> int:
    """Return how many bytes a stream of the driver has, of which so many are enough."""
    size = 0
    if kind == "logs":
        async with driver.read_log(CONTAINER, LogOptions()) as batches:
            async for lines in batches:
                if (size := size + sum(len(line.data) for line in lines)) >= most:
                    break
        return size
    spec = CommandSpec(argv=("true",))
    async with (
        driver.attach(CONTAINER, ConsoleOptions())
        if kind == "attach"
        else driver.start_command(CONTAINER, spec, CommandStreams())
    ) as stream:
        async for output in stream.output():
            if (size := size + len(output.data)) >= most:
                break
    return size


async def hung_up(engine: ScriptedEngine) -> None:
    async with asyncio.timeout(30):
        await engine.hung_up.wait()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", BAD_FRAMES.values(), ids=BAD_FRAMES)
async def test_stream_of_bad_frames_is_an_error(kind: str, frames: bytes):
    head = PLAIN if kind == "logs" else UPGRADED
    async with answering(kind, [head, frames]) as (engine, driver):
        with pytest.raises(EngineUnreachableError, match="frame"):
            await taken(kind, driver)
        await hung_up(engine)


@pytest.mark.parametrize("kind", KINDS)
async def test_frame_of_4_gib_is_passed_on_as_it_comes(kind: str):
    head = CHUNKED + b"fffffffff\r\n" if kind == "logs" else UPGRADED
    endless = itertools.chain([head, HUGE], itertools.repeat(PIECE))
    async with answering(kind, endless) as (engine, driver):
        assert await taken(kind, driver, 2**20) < 2**21
        await hung_up(engine)
        assert engine.sent < MOST_TAKEN


@pytest.mark.parametrize("kind", KINDS)
async def test_fault_that_the_engine_tells_in_a_frame_is_the_error(kind: str):
    head = PLAIN if kind == "logs" else UPGRADED
    text = b"Error grabbing logs: invalid character" + b"!" * 10_000
    fault = b"\3\0\0\0" + len(text).to_bytes(4) + text
    async with answering(kind, [head, FRAME, fault[:20], fault[20:]]) as (engine, driver):
        with pytest.raises(EngineConflictError, match="Error grabbing logs") as raised:
            await taken(kind, driver)
        assert len(str(raised.value)) < 5000
        await hung_up(engine)


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_log_of_bad_chunks_is_an_error(chunks: bytes):
    async with answering("logs", [CHUNKED, chunks, b"more\r\n" * 9]) as (engine, driver):
        with pytest.raises(EngineUnreachableError, match="broken off"):
            await taken("logs", driver)
        await hung_up(engine)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "head",
    [
        [[OK], itertools.repeat(b"X-Header: value\r\n" * 1000)],
        [[OK, b"X-Header: "], itertools.repeat(PIECE)],
        [itertools.repeat(PIECE)],
        [[b"HTTP/9 no status\r\n"]],
    ],
    ids=["headers", "a header", "no line", "no protocol"],
)
async def test_answer_whose_head_has_no_end_is_an_error(kind: str, head: list[Iterable[bytes]]):
    async with answering(kind, itertools.chain(*head)) as (engine, driver):
        with pytest.raises(ProaError):
            await taken(kind, driver)
        await hung_up(engine)
        assert engine.sent < MOST_TAKEN


@pytest.mark.parametrize("kind", KINDS)
async def test_answer_that_is_always_about_to_come_is_hung_up_in_time(kind: str):
    """Each piece of it comes at once; no silence ends it."""
    endless = itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")
    async with answering(kind, endless, seconds=1) as (engine, driver):
        with pytest.raises(EngineTimedOutError):
            await taken(kind, driver)
        await hung_up(engine)


@pytest.mark.parametrize("kind", KINDS)
async def test_refusal_without_an_end_is_cut(kind: str):
    head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\n"
    endless = itertools.chain([head], itertools.repeat(b"no " * 1000))
    async with answering(kind, endless) as (engine, driver):
        with pytest.raises(EngineConflictError, match="no no"):
            await taken(kind, driver)
        await hung_up(engine)
        assert engine.sent < MOST_TAKEN


@pytest.mark.parametrize("begin", [PLAIN, CHUNKED + b"fffffffff\r\n"], ids=["plain", "chunk"])
async def test_answer_without_an_end_is_cut(begin: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "_LARGEST_ANSWER", 2**20)
    async with answering("version", itertools.chain([begin], itertools.repeat(PIECE))) as (
        engine,
        driver,
    ):
        with pytest.raises(EngineUnreachableError, match="too large"):
            await driver.probe()
        await hung_up(engine)
        assert engine.sent < MOST_TAKEN


async def test_answer_that_is_shorter_than_announced_is_an_error():
    cut = [OK + b'Content-Length: 50\r\n\r\n{"ApiVersion": "1.41"}']
    async with answering("version", cut) as (_, driver):
        with pytest.raises(EngineUnreachableError):
            await driver.probe()


@pytest.mark.parametrize("first", [b"", b"{}\n"], ids=["no line", "more"])
async def test_sample_without_an_end_is_cut(first: bytes):
    endless = itertools.chain([PLAIN + first], itertools.repeat(PIECE))
    async with answering("stats", endless) as (engine, driver):
        assert await driver.stats([CONTAINER]) == {}
        await hung_up(engine)
        assert engine.sent < 2 * MOST_TAKEN


def test_chunks_and_frames_are_the_same_wherever_they_are_cut():
    frames = FRAME + b"\2\0\0\0\0\0\0\3err" + FRAME * 3
    body = b"".join(
        b"%x;name=value\r\n%s\r\n" % (len(each), each)
        for each in (frames[:1], frames[1:30], frames[30:])
    )
    body += b"0\r\nTrailer: value\r\n\r\n"
    for size in range(1, len(body)):
        chunks, parts = Chunks(), Frames()
        pieces = [chunks.take(body[at : at + size]) for at in range(0, len(body), size)]
        assert chunks.over
        found = [output for piece in pieces for output in parts.take(piece)]
        parts.check_end()
        both = {False: b"", True: b""}
        for output in found:
            both[output.is_stderr] += output.data
        assert both == {False: b"text" * 4, True: b"err"}
