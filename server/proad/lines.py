"""Unix sockets that answer one line each: a caller sends a line, gets a line, and is done."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from proad.unix_streams import DescriptorsError, hang_up, prepare, readable, receive

# Seconds after which a caller is accepted where none could be.
_PAUSE = 1.0
# Of asm-generic/socket.h; the module socket has no name for it.
_SO_PEERGROUPS = 59
_CREDENTIALS = struct.Struct("3i")
# The most that Python reads of an option.
_MOST_GROUPS = 256


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connected, as the kernel noted at that moment.

    Attributes:
        uid: effective user id; the one of nobody for a user whom this namespace does not know.
        groups: effective group id, and the supplementary ones.
    """

    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connection: socket.socket) -> "Peer":
        """Return the peer of a connected Unix socket.

        Raises:
            OSError: the kernel does not tell.
        """
        _pid, uid, gid = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        one = struct.calcsize("I")
        packed = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * one)
        return cls(uid, frozenset({gid, *struct.unpack(f"{len(packed) // one}I", packed)}))


@dataclass(frozen=True, slots=True)
class LineLimits:
    """What the callers of a socket may take.

    Attributes:
        line_timeout: time in which a caller sends its line, and in which it takes the answer, in
            seconds.
        connections: connections at a time.
        connections_of_user: of these, those of one user of the host.
        line_bytes: the longest line.
    """

    line_timeout: float = 10.0
    connections: int = 64
    connections_of_user: int = 8
    line_bytes: int = 4096


Answer = Callable[[bytes, Peer], Awaitable[bytes]]
"""Returns the line that answers a line of a peer. Raises ValueError for one that gets no answer."""


@asynccontextmanager
async def answering(
    listening: socket.socket, answer: Answer, limits: LineLimits = LineLimits()
) -> AsyncIterator[None]:
    """Answer the callers of a bound socket, each with one line.

    A user beyond the user's own limit is hung up on at once. Where all connections are taken, the
    one goes that has waited for its line the longest: one user may have many ids, in a namespace of
    its own, and who connects and says nothing keeps nobody else out, with however many.
    """
    slots = _Slots(limits)
    serving: set[asyncio.Task[None]] = set()

    loop = asyncio.get_running_loop()

    async def serve(caller: socket.socket) -> None:
        try:
            prepare(caller)
            peer = Peer.of(caller)
            with slots.taken(peer.uid) as taken:
                if not taken:
                    return
                async with slots.waiting():
                    line = await _line(caller, limits.line_bytes)
                said = await answer(line, peer) + b"\n"
                async with asyncio.timeout(limits.line_timeout):
                    await loop.sock_sendall(caller, said)
        except (OSError, TimeoutError, ValueError, DescriptorsError, asyncio.CancelledError):
            pass  # gone, too slow, none of ours, or the daemon ends
        finally:
            hang_up(caller)

    async def accept() -> None:
        while True:
            try:
                caller, _ = await loop.sock_accept(listening)
            except OSError:  # there is no descriptor left
                await asyncio.sleep(_PAUSE)
                continue
            task = asyncio.create_task(serve(caller))
            serving.add(task)
            task.add_done_callback(serving.discard)

    listening.setblocking(False)
    listening.listen()
    accepting = asyncio.create_task(accept())
    try:
        yield
    finally:
        for task in (accepting, *serving):
            task.cancel()
        await asyncio.gather(accepting, *serving, return_exceptions=True)


async def _line(caller: socket.socket, most: int) -> bytes:
    """Return the line that a caller sends.

    Raises:
        ValueError: it is too long, or the caller goes before its end.
        DescriptorsError: there is something with it that is no line.
        OSError: the caller has gone.
    """
    said = bytearray()
    while len(said) <= most:
        try:
            data = receive(caller, most)
        except BlockingIOError:
            await readable(caller)
            continue
        if not data:
            raise ValueError("no end")
        said += data
        line, end, _ = said.partition(b"\n")
        if end and len(line) <= most:
            return bytes(line + end)
    raise ValueError("too long")


class _Slots:
    """Counts connections, of all and of each user, and ends waits where there are too many."""

    def __init__(self, limits: LineLimits) -> None:
        self._limits = limits
        self._taken: Counter[int] = Counter()
        # The oldest first.
        self._waits: dict[asyncio.Timeout, None] = {}

    @contextmanager
    def taken(self, uid: int) -> Iterator[bool]:
        """Take a slot for the block; yield False if there is none."""
        full = self._taken.total() >= self._limits.connections
        if self._taken[uid] >= self._limits.connections_of_user or (full and not self._end_wait()):
            yield False
            return
        self._taken[uid] += 1
        try:
            yield True
        finally:
            self._taken[uid] -= 1
            if not self._taken[uid]:
                del self._taken[uid]

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Let the block wait for a line, for its time or until somebody else needs the slot.

        Raises:
            TimeoutError: no line has come.
        """
        async with asyncio.timeout(self._limits.line_timeout) as wait:
            self._waits[wait] = None
            try:
                yield
            finally:
                self._waits.pop(wait, None)

    def _end_wait(self) -> bool:
        """End the wait that has lasted longest; return False if nobody waits."""
        oldest = next(iter(self._waits), None)
        if oldest is None:
            return False
        del self._waits[oldest]  # the next one to need a slot ends another
        oldest.reschedule(asyncio.get_running_loop().time())
        return True
