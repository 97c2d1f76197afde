"""The last lines of what has ended badly, for the FULL view."""

import asyncio
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.log_operations import mask_of
from proad.core.slices import TimeSlicer
from proad.errors import ProaError
from proad.model import LogLine, LogOptions, Resource, ResourceState
from proad.ports import Logs

_MOST_LINES = 20
_MOST_BYTES = 4 * 2**10
_MOST_KEPT = 1000
_ENDED = frozenset({ResourceState.STOPPED, ResourceState.STARTING, ResourceState.FAILED})
# What is neither text nor a tab.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLinesTiming:
    """Durations of last lines, in seconds.

    Attributes:
        patience: for which a FULL view waits for them.
        retry_after: after which those are read again that could not be read.
    """

    patience: float = 2.0
    retry_after: float = 10.0


@dataclass(slots=True)
class _Known:
    """The last lines of one end.

    Attributes:
        mark: tells it from other ends.
        lines: the lines; None: they could not be read.
        time: when that was, by the loop.
        view: the view that was completed last, and how.
    """

    mark: tuple[int, datetime | None]
    lines: tuple[str, ...] | None
    time: float
    view: tuple[Resource, Resource] | None = None


class LastLines:
    """Completes FULL views of what has ended badly by its last lines, read once for each end.

    Args:
        slicer: shares the event loop's time.
        timing: durations.
    """

    def __init__(self, slicer: TimeSlicer, timing: LastLinesTiming = LastLinesTiming()) -> None:
        self._slicer = slicer
        self._timing = timing
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reads: dict[str, asyncio.Task[_Known]] = {}

    async def complete(self, connection: EngineConnection, view: Resource) -> Resource:
        """Return a FULL view with the last lines, where it has some."""
        if not _ended_badly(view) or not isinstance(connection.driver, Logs):
            return view
        known = self._known.get(view.path)
        if known is None or not self._is_good(known, view):
            known = await self._read_once(connection.driver, view)
        if known.lines is None or known.mark != _mark(view):
            return view
        if known.view is None or known.view[0] is not view:
            detail = replace(view.state_detail, last_lines=known.lines)
            known.view = view, replace(view, state_detail=detail)
        return known.view[1]

    def _is_good(self, known: _Known, view: Resource) -> bool:
        if known.mark != _mark(view):
            return False
        age = asyncio.get_running_loop().time() - known.time
        return known.lines is not None or age < self._timing.retry_after

    async def _read_once(self, driver: Logs, view: Resource) -> _Known:
        """Read them; callers that ask at the same time share the read."""
        task = self._reads.get(view.path)
        if task is None:
            task = self._reads[view.path] = asyncio.create_task(self._read(driver, view))
            task.add_done_callback(lambda _: self._reads.pop(view.path, None))
        return await asyncio.shield(task)

    async def _read(self, driver: Logs, view: Resource) -> _Known:
        lines = None
        try:
            async with asyncio.timeout(self._timing.patience):
                lines = await _last_lines(driver, view, self._slicer)
        except (ProaError, TimeoutError):
            pass  # there are none to show
        except Exception:  # noqa: BLE001 - a fault of the driver spoils no view
            _log.exception("last lines failed", resource=view.path)
        known = _Known(_mark(view), lines, asyncio.get_running_loop().time())
        self._known[view.path] = known
        self._known.move_to_end(view.path)
        if len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return known


async def _last_lines(driver: Logs, view: Resource, slicer: TimeSlicer) -> tuple[str, ...]:
    mask = await mask_of(driver, view.kind, view.id, slicer)
    last: deque[LogLine] = deque(maxlen=_MOST_LINES)
    async with driver.read_log(view.id, LogOptions(tail=_MOST_LINES)) as batches:
        async for lines in batches:
            last.extend(await mask.lines(lines))
    last.extend(mask.rest())
    texts: deque[str] = deque()
    left = _MOST_BYTES
    for line in reversed(last):
        # Cut after the secrets are masked: of half a one, nobody would know it.
        text = _CONTROL.sub("\ufffd", line.data[-left:].decode(errors="replace"))
        size = len(text.encode())
        if size > left:
            text = text.encode()[-left:].decode(errors="ignore")
            size = left
        texts.appendleft(text)
        left -= size
        if left <= 0:
            break
    return tuple(texts)


def _ended_badly(view: Resource) -> bool:
    detail = view.state_detail
    if view.state not in _ENDED:
        return False
    return view.state is ResourceState.FAILED or detail.oom_killed or bool(detail.exit_code)


def _mark(view: Resource) -> tuple[int, datetime | None]:
    return view.revision, view.state_detail.finish_time
