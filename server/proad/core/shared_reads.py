"""Reads about resources whose results are kept, and shared by all who ask."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from proad.errors import EngineUnreachableError, ProaError

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedReadTiming:
    """Durations of reads, in seconds.

    Attributes:
        patience: for which a caller waits for a read, from its begin.
        limit: of a read.
        good_for: for which a result is good.
        retry_after: after which what could not be read is read again.
        held: for which nothing is forgotten: while all room is held, nothing more is read.
    """

    patience: float
    limit: float
    good_for: float = math.inf
    retry_after: float
    held: float = 0.0


@dataclass(frozen=True, slots=True)
class _Read(Generic[T]):
    """What was read of a resource.

    Attributes:
        mark: tells the time of the resource's life that it is of.
        value: the result; None: it could not be read.
        begun: when that was, by the loop.
    """

    mark: Hashable
    value: T | None
    begun: float


@dataclass(slots=True)
class _UnderWay:
    """A read that has not ended."""

    begun: float
    task: asyncio.Task[None]


class SharedReads(Generic[T]):
    """Reads something about resources, one read at a time about each, and keeps what it found.

    Args:
        subject: what is read, for the log.
        timing: durations.
        most: of how many resources it is kept.
    """

    def __init__(self, subject: str, timing: SharedReadTiming, most: int) -> None:
        self._subject = subject
        self._timing = timing
        self._most = most
        self._kept: OrderedDict[str, _Read[T]] = OrderedDict()
        self._under_way: dict[str, _UnderWay] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def known(self, path: str, mark: Hashable) -> T | None:
        """Return what was read last in this time of a resource's life, however old."""
        kept = self._kept.get(path)
        return kept.value if kept is not None and kept.mark == mark else None

    async def get(self, path: str, mark: Hashable, read: Callable[[], Awaitable[T]]) -> T | None:
        """Return what is known of a resource, read anew if that is no longer good.

        None: it could not be read, or not yet; the read goes on.

        Args:
            path: the resource.
            mark: tells the present time of its life, of which alone a result is good.
            read: reads it.
        """
        if not self._is_good(path, mark):
            await self._read_in_time(path, mark, read)
        return self.known(path, mark)

    def _is_good(self, path: str, mark: Hashable) -> bool:
        kept = self._kept.get(path)
        if kept is None or kept.mark != mark:
            return False
        timing = self._timing
        age = asyncio.get_running_loop().time() - kept.begun
        return age < (timing.retry_after if kept.value is None else timing.good_for)

    async def _read_in_time(
        self, path: str, mark: Hashable, read: Callable[[], Awaitable[T]]
    ) -> None:
        """Wait for a read as long as the patience for it lasts."""
        now = asyncio.get_running_loop().time()
        under_way = self._under_way.get(path)
        if under_way is None:
            if not self._has_room(path, now):
                return
            task = asyncio.create_task(self._read(path, mark, read, now))
            under_way = self._under_way[path] = _UnderWay(now, task)
            task.add_done_callback(lambda _: self._under_way.pop(path, None))
        left = under_way.begun + self._timing.patience - now
        if left > 0:
            await asyncio.wait({under_way.task}, timeout=left)

    def _has_room(self, path: str, now: float) -> bool:
        if path in self._kept or len(self._kept) + len(self._under_way) < self._most:
            return True
        if not self._kept:
            return False
        oldest = next(iter(self._kept))
        if now - self._kept[oldest].begun < self._timing.held:
            return False
        del self._kept[oldest]
        return True

    async def _read(
        self, path: str, mark: Hashable, read: Callable[[], Awaitable[T]], begun: float
    ) -> None:
        value = None
        try:
            async with asyncio.timeout(self._timing.limit):
                value = await read()
        except EngineUnreachableError:
            return  # nothing was asked; the next caller asks the engine when it is back
        except (ProaError, TimeoutError):
            pass  # there is none to show
        except Exception:  # noqa: BLE001 - a fault of the driver spoils no view
            _log.exception(f"{self._subject} failed", resource=path)
        self._kept[path] = _Read(mark, value, begun)
        self._kept.move_to_end(path)
