"""The logs of resources."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from proad.core.entrance import Entrance
from proad.core.secret_mask import SecretMask
from proad.core.slices import TimeSlicer
from proad.model import LogLine, LogOptions, ResourceKind
from proad.ports import Containers, Logs

# For which lines of before the time at which a stream ends may still come.
_LATE = timedelta(seconds=1)


async def mask_of(driver: object, kind: ResourceKind, id: str, slicer: TimeSlicer) -> SecretMask:
    """Return the mask of what a resource writes: the secrets of a container."""
    if kind is not ResourceKind.CONTAINER or not isinstance(driver, Containers):
        return SecretMask(slicer)
    return await SecretMask.of((await driver.env_secrets(id)).values(), slicer)


class LogOperations:
    """Reads the logs of resources, with their secrets masked.

    Errors are those of `Entrance.look_in` and of the port.

    Args:
        entrance: lets callers look into resources.
        slicer: shares the event loop's time among those who read what takes long to mask.
    """

    def __init__(self, entrance: Entrance, slicer: TimeSlicer) -> None:
        self._entrance = entrance
        self._slicer = slicer

    @asynccontextmanager
    async def reading(
        self, ref: str, options: LogOptions
    ) -> AsyncIterator[AsyncIterator[Sequence[LogLine]]]:
        """Read a log while the block runs.

        Args:
            ref: what the caller wrote for the resource.
            options: which lines.
        """
        left = None
        if options.follow and options.until is not None:
            left = options.until - datetime.now(UTC)
            options = replace(options, follow=left > timedelta(0))
        async with self._entrance.look_in(ref, Logs) as entered:
            mask = await mask_of(entered.driver, entered.kind, entered.id, self._slicer)
            async with entered.driver.read_log(entered.id, options) as batches:
                if left is not None and options.follow:
                    yield _masked(_within(batches, left + _LATE), mask)
                else:
                    yield _masked(batches, mask)


async def _masked(
    batches: AsyncIterator[Sequence[LogLine]], mask: SecretMask
) -> AsyncIterator[Sequence[LogLine]]:
    async for lines in batches:
        yield await mask.lines(lines)
    yield mask.rest()


async def _within(
    batches: AsyncIterator[Sequence[LogLine]], time: timedelta
) -> AsyncIterator[Sequence[LogLine]]:
    """Yield what comes within a time."""
    end = asyncio.get_running_loop().time() + time.total_seconds()
    while True:
        try:
            async with asyncio.timeout_at(end):
                lines = await anext(batches)
        except (StopAsyncIteration, TimeoutError):
            return
        yield lines
