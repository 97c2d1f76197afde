"""Clients with many streams inside of resources, each in a process of its own that may be killed.

Of what goes through, every byte is compared. Some streams are never read, or send what is never taken.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection

import proa
from soak.setting import ONCE, credentials

MARK = "SOAK_MARK"
"""The variable in the environment of all commands, whose value tells whose they are."""
ECHO, WEB = 7, 80
LOGGED = 10_000  # lines of a log that has an end; the memory driver keeps no more
LARGE = "/large"
PAGE = b"hello from the guest\n"
_MOST = 64 * 2**10
_LARGEST_FILE = 2**20
_PAUSE = 1.0
_OWN = (("grpc.use_local_subchannel_pool", 1), *ONCE)
# A client that does not read receives no more than HTTP/2's initial window.
_UNREAD = (("grpc.http2.bdp_probe", 0), *_OWN)


@dataclass(frozen=True)
class Crowd:
    """A client, and what it does.

    Attributes:
        address: of the daemon.
        streams: the name of each, and the resource.
        mark: its own.
        seed: of its choices.
    """

    address: str
    streams: tuple[tuple[str, str], ...]
    mark: str
    seed: int


@dataclass
class Report:
    """What a client tells of itself, again and again.

    Attributes:
        open: the numbers of the streams that are open.
        refused: how often a stream was refused, since the user had too many.
        moved: bytes that went through and were compared.
        rounds: how often, by stream.
        faults: what went wrong.
    """

    open: set[int] = field(default_factory=set)
    refused: int = 0
    moved: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def run(crowd: Crowd, pipe: Connection) -> None:
    """Be a client, until the other end of the pipe says something."""
    asyncio.run(_Client(crowd, pipe).run())


class _Client:
    def __init__(self, crowd: Crowd, pipe: Connection) -> None:
        self._crowd = crowd
        self._pipe = pipe
        self._chance = random.Random(crowd.seed)
        self._report = Report()

    async def run(self) -> None:
        connect = partial(proa.aio.connect, self._crowd.address, **credentials())
        async with AsyncExitStack() as stack:
            read = await stack.enter_async_context(connect(options=_OWN))
            unread = await stack.enter_async_context(connect(options=_UNREAD))
            tasks = [
                asyncio.create_task(self._keep(number, unread if "un" in name else read, name, id))
                for number, (name, id) in enumerate(self._crowd.streams)
            ]
            while not self._pipe.poll():
                self._pipe.send(self._report)
                await asyncio.sleep(0.25)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._pipe.send(self._report)

    async def _keep(self, number: int, client: proa.aio.Client, name: str, id: str) -> None:
        """Have a stream, and another one whenever it has ended."""
        stream = _Stream(
            client,
            id,
            self._crowd.mark,
            number,
            random.Random(self._chance.random()),
            partial(self._report.open.add, number),
            partial(self._moved, name),
        )
        work: Callable[[], Awaitable[None]] = getattr(stream, name)
        while True:
            try:
                await work()
            except proa.ResourceExhausted as error:
                self._report.refused += 1
                if number in self._report.open:
                    self._report.faults.append(f"{name}: {error}")
                await asyncio.sleep(0.1)
            except (proa.Error, AssertionError, OSError) as error:
                if _is_due(name, error):
                    continue
                self._report.faults.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
                await asyncio.sleep(_PAUSE)

    def _moved(self, name: str, size: int) -> None:
        self._report.moved += size
        self._report.rounds[name] += 1


def _is_due(name: str, error: Exception) -> bool:
    """Return whether a stream ends with its token, as it may.

    Nothing renews those that only read, and a renewal waits behind what nobody takes.
    """
    expired = isinstance(error, proa.Error) and error.reason == "TOKEN_EXPIRED"
    untaken = "un" in name and isinstance(error, BrokenPipeError)
    return untaken or (expired and ("un" in name or name in {"files", "log_whole"}))


@dataclass
class _Stream:
    """One stream, by whose methods it is told what it does."""

    client: proa.aio.Client
    id: str
    mark: str
    number: int
    chance: random.Random
    opened: Callable[[], None]
    moved: Callable[[int], None]

    async def exec_echo(self) -> None:
        async with self.client.exec(self.id, ["cat"], stdin=True, env=self._env) as process:
            self.opened()
            await self._echo(process.write, _stdout(process))

    async def exec_seq(self) -> None:
        last = self.chance.randrange(1000, 3000)
        argv = ["seq", str(last)]
        async with self.client.exec(self.id, argv, env=self._env) as process:
            self.opened()
            said = await process.communicate()
            assert said == (b"".join(b"%d\n" % n for n in range(1, last + 1)), b""), "other output"
            assert process.exit is not None
            assert process.exit.code == 0, process.exit
            self.moved(len(said[0]))
        await self._pause()

    async def port_echo(self) -> None:
        async with self.client.forward_port(self.id, ECHO) as connection:
            self.opened()
            await self._echo(connection.write, connection)

    async def port_page(self) -> None:
        async with self.client.forward_port(self.id, WEB) as connection:
            self.opened()
            await connection.write(b"GET / HTTP/1.0\r\n\r\n")
            said = b"".join([piece async for piece in connection])
        assert said.endswith(PAGE), said[-100:]
        self.moved(len(PAGE))
        await self._pause()

    async def files(self) -> None:
        data = self.chance.randbytes(self.chance.randrange(_LARGEST_FILE))
        path = f"/tmp/{self.mark}-{self.number}"
        self.opened()
        await self.client.write_file(self.id, path, data, overwrite=True)
        async with self.client.read_file(self.id, path) as file:
            assert await file.read() == data, "another file"
        self.moved(2 * len(data))
        await self._pause()

    async def log_whole(self) -> None:
        async with self.client.logs(self.id) as log:
            self.opened()
            said = [line.data async for line in log]
        assert said == [b"%d" % n for n in range(1, LOGGED + 1)], "another log"
        self.moved(sum(map(len, said)))
        await self._pause()

    async def log_followed(self) -> None:
        async with self.client.logs(self.id, follow=True, tail=1) as log:
            self.opened()
            await self._count(line.data async for line in log)

    async def attach_read(self) -> None:
        async with self.client.attach(self.id, stdin=False) as console:
            self.opened()
            await self._count(_lines(_stdout(console)))

    async def attach_echo(self) -> None:
        async with self.client.attach(self.id, exclusive=True, force=True) as console:
            self.opened()
            # What the one before has written still comes.
            await self._settle(console.write, said := _stdout(console))
            await self._echo(console.write, said)

    async def console(self) -> None:
        """Type on a guest's serial line, which writes words of its own in between."""
        async with self.client.attach(self.id, exclusive=True, force=True) as console:
            self.opened()
            said, heard = _stdout(console), b""
            while True:
                number = self.chance.randrange(10**9)
                await console.write(b"echo $((%d + 1))\n" % (number - 1))
                async with asyncio.timeout(60):
                    while b"%d\r\n" % number not in heard:
                        heard = heard[-1000:] + await anext(said)
                self.moved(len(heard))
                await self._pause()

    async def exec_unread(self) -> None:
        argv = ["head", "-c", str(2**40), "/dev/zero"]
        async with self.client.exec(self.id, argv, env=self._env):
            await self._hold()

    async def exec_untaken(self) -> None:
        argv = ["sleep", "100000"]
        async with self.client.exec(self.id, argv, stdin=True, env=self._env) as process:
            await self._flood(process.write)

    async def port_unread(self) -> None:
        async with self.client.forward_port(self.id, ECHO) as connection:
            await self._flood(connection.write)

    async def log_unread(self) -> None:
        async with self.client.logs(self.id) as log:
            await anext(log)
            await self._hold()

    async def file_unread(self) -> None:
        async with self.client.read_file(self.id, LARGE):
            await self._hold()

    @property
    def _env(self) -> dict[str, str]:
        return {MARK: self.mark}

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.random() * _PAUSE)

    async def _hold(self) -> None:
        self.opened()
        await asyncio.Event().wait()

    async def _flood(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self.opened()
        while True:
            await write(bytes(_MOST))

    async def _echo(
        self, write: Callable[[bytes], Awaitable[None]], said: AsyncIterator[bytes]
    ) -> None:
        while True:
            data = self.chance.randbytes(self.chance.randrange(1, _MOST))
            writing = asyncio.ensure_future(write(data))
            heard = b""
            while len(heard) < len(data):
                heard += await anext(said)
            assert heard == data, "another echo"
            await writing
            self.moved(2 * len(data))
            await self._pause()

    async def _settle(
        self, write: Callable[[bytes], Awaitable[None]], said: AsyncIterator[bytes]
    ) -> None:
        """Write until what comes is what was written."""
        end = self.chance.randbytes(32)
        await write(end)
        heard = b""
        while not heard.endswith(end):
            heard = heard[-len(end) :] + await anext(said)

    async def _count(self, lines: AsyncIterator[bytes]) -> None:
        """Read numbers, each one more than the one before."""
        last: int | None = None
        async for line in lines:
            number = int(line)
            assert last is None or number == last + 1, f"{number} after {last}"
            last = number
            self.moved(len(line))
        raise AssertionError("it has ended")


async def _stdout(outputs: AsyncIterator[proa.Output]) -> AsyncIterator[bytes]:
    async for output in outputs:
        assert not output.is_stderr, output
        yield output.data
    raise AssertionError("it has ended")


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the whole lines; the first one may have begun before."""
    begun, first = b"", True
    async for piece in pieces:
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines[first:] if lines else ():
            yield line
        first = first and not lines
