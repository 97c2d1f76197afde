"""Creates that were reported as interrupted, and must not appear later."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.requests import RETENTION
from proad.errors import ProaError
from proad.model import EngineRef, Footprint, Intent
from proad.ports import Recovery

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalTiming:
    """Durations of removals, in seconds.

    Attributes:
        first_interval: time from the report to the first look; doubled after each.
        longest_interval: upper bound of that time.
    """

    first_interval: float = 1.0
    longest_interval: float = 300.0


class Removals:
    """Removes what interrupted creates make after they were reported.

    An engine may go on with a create whose client has died.

    Args:
        hosts: the engines.
        timing: durations.
    """

    def __init__(self, hosts: Hosts, timing: RemovalTiming = RemovalTiming()) -> None:
        self._hosts = hosts
        self._timing = timing
        self._tasks: set[asyncio.Task[None]] = set()
        # One at a time on each engine: a day has a hundred thousand failed creates of one user.
        self._turns: dict[EngineRef, asyncio.Lock] = {}

    @asynccontextmanager
    async def watching(self, failed: Iterable[tuple[Intent, datetime]]) -> AsyncIterator[None]:
        """Watch within the block.

        Args:
            failed: the creates that failed in earlier runs, and when they did.
        """
        try:
            for intent, end_time in failed:
                self.add(intent, end_time)
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, intent: Intent, end_time: datetime) -> None:
        """Remove what a create that failed makes later, as far as it is provably the create's."""
        connection = self._hosts.connection(intent.host, intent.driver)
        footprint = None if intent.footprint is None else _provable(intent.footprint)
        if connection is None or footprint is None:
            return
        task = asyncio.create_task(self._watch(connection, footprint, end_time + RETENTION))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(
        self, connection: EngineConnection, footprint: Footprint, until: datetime
    ) -> None:
        pause = self._timing.first_interval
        while datetime.now(UTC) < until:
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._timing.longest_interval)
            try:
                async with self._turns.setdefault(connection.ref, asyncio.Lock()):
                    await self._remove(connection, footprint)
            except ProaError as error:
                _log.info("recovery.late_create_not_removed", cause=error.message)

    async def _remove(self, connection: EngineConnection, footprint: Footprint) -> None:
        driver = connection.driver
        if not isinstance(driver, Recovery):
            return
        with connection.call():
            if await driver.find_created(footprint) is not None:
                _log.info("recovery.late_create_removed", mark=footprint.mark)
            await driver.undo_created(footprint, force=True)


def _provable(footprint: Footprint) -> Footprint | None:
    """Return what nobody else can have made; None: nothing.

    Who made a snapshot or a volume of a name that the caller chose, cannot be told any more.
    """
    volumes = tuple(each for each in footprint.volumes if not each.named_by_caller)
    if footprint.named_by_caller or not (footprint.mark or volumes):
        return None
    return replace(footprint, volumes=volumes)
