"""The last lines of what has ended badly, for the FULL view."""

from collections import deque
from datetime import datetime
from functools import partial

from proad.core.engine_connection import EngineConnection
from proad.core.harmless import harmless
from proad.core.log_operations import mask_of
from proad.core.shared_reads import SharedReads, SharedReadTiming
from proad.core.slices import TimeSlicer
from proad.model import LogLine, LogOptions, Resource, ResourceState
from proad.ports import Logs

_MOST_LINES = 20
_MOST_BYTES = 4 * 2**10
_MOST_KEPT = 1000
_ENDED = frozenset({ResourceState.STOPPED, ResourceState.STARTING, ResourceState.FAILED})

TIMING = SharedReadTiming(patience=2.0, limit=2.0, retry_after=10.0)


class LastLines:
    """Knows the last lines of what has ended badly, read once for each end.

    Args:
        slicer: shares the event loop's time.
        timing: durations.
    """

    def __init__(self, slicer: TimeSlicer, timing: SharedReadTiming = TIMING) -> None:
        self._slicer = slicer
        self._lines: SharedReads[tuple[str, ...]] = SharedReads("last lines", timing, _MOST_KEPT)

    async def of(self, connection: EngineConnection, view: Resource) -> tuple[str, ...]:
        """Return the last lines of a resource, by its FULL view; none where it has none."""
        driver = connection.driver
        if not _ended_badly(view) or not isinstance(driver, Logs):
            return ()
        read = partial(_last_lines, driver, view, self._slicer)
        return await self._lines.get(view.path, _mark(view), read) or ()


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
        text = harmless(line.data[-left:].decode(errors="replace"))
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
