"""Sampling what resources use: each once, however many listen."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from proad.core.hosts import Hosts, require
from proad.core.inventory import Inventory
from proad.core.link import Link
from proad.core.ports import Stats
from proad.core.resolve import Resolver
from proad.errors import (
    CapabilityMissingError,
    ProaError,
    ResourceNotFoundError,
    ShuttingDownError,
)
from proad.model import ACTIVE, ResourceStats

_log = structlog.get_logger(__name__)

TICK = 1.0
"""Seconds between two samples while somebody listens."""
_FIRST = 2.5
"""Seconds that a new listener waits for the first sample of a slow engine."""


class Sampler:
    """Samples the resources of one engine while somebody listens to any of them.

    Args:
        link: the engine.
        driver: its driver.
        inventory: knows which resources are active.
    """

    def __init__(self, link: Link, driver: Stats, inventory: Inventory) -> None:
        self.link = link
        self.latest: Mapping[str, ResourceStats] = {}
        self._driver = driver
        self._inventory = inventory
        self._named: Counter[str] = Counter()
        self._listening_to_all = 0
        self._ticked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, ids: Collection[str] | None) -> Iterator[None]:
        """Have these resources sampled; None: all that are active."""
        self._listening_to_all += ids is None
        self._named.update(ids or ())
        if self._task is None:
            self._task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            self._listening_to_all -= ids is None
            self._named.subtract(ids or ())
            self._named = +self._named
            if not self._listening_to_all and not self._named:
                self._task.cancel()
                self._task = None
                self.latest = {}

    async def ticked(self) -> None:
        """Wait until samples have been taken."""
        await self._ticked.wait()

    async def _sample(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            begun = clock()
            active = {r.id for r in self._inventory.all(self.link) if r.state in ACTIVE}
            ids = active if self._listening_to_all else active & self._named.keys()
            try:
                self.latest = await self._ask(ids)
            except ProaError:
                self.latest = {}  # health and GetHost tell why
            except Exception:  # noqa: BLE001 - one fault of a driver must not end it for all
                _log.exception("sampling failed", engine=self.link.name)
                self.latest = {}
            self._ticked.set()
            self._ticked.clear()
            await asyncio.sleep(max(TICK - (clock() - begun), TICK / 10))

    async def _ask(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        return await self.link.read(lambda: self._driver.stats(ids)) if ids else {}


class Measuring:
    """What StreamStats does."""

    def __init__(self, hosts: Hosts, resolver: Resolver, inventory: Inventory) -> None:
        self._resolver = resolver
        self._inventory = inventory
        self._samplers = {
            link.name: Sampler(link, link.driver, inventory)
            for link in hosts.links
            if isinstance(link.driver, Stats)
        }
        self._closed = asyncio.Event()

    async def stream(
        self, refs: Sequence[str], interval: timedelta
    ) -> AsyncIterator[list[ResourceStats]]:
        """Give samples for ever.

        Args:
            refs: what the caller calls the resources; empty: all that are active.
            interval: time between two samples.

        Raises:
            ResourceNotFoundError: one that was named is not there, or not any more.
            EngineUnreachableError: the engine of one that was named does not answer.
            CapabilityMissingError: its engine cannot tell.
            ShuttingDownError: the daemon is stopping.
        """
        named = [await self._resolver.find(ref) for ref in refs]
        by_engine: dict[str, set[str]] = {}
        for found in named:
            require(found.link.driver, Stats)
            by_engine.setdefault(found.link.name, set()).add(found.resource.id)
        samplers = [
            sampler for name, sampler in self._samplers.items() if not refs or name in by_engine
        ]
        if not samplers:
            raise CapabilityMissingError("stats", driver="no engine")
        before: dict[str, ResourceStats] = {}
        with ExitStack() as stack:
            for sampler in samplers:
                stack.enter_context(sampler.listening(by_engine.get(sampler.link.name)))
            await self._wait_for(samplers)
            while True:
                if self._closed.is_set():
                    raise ShuttingDownError
                for found in named:
                    await self._inventory.mirror(found.link).ready()
                    if self._inventory.known(found.link, found.resource.id) is None:
                        raise ResourceNotFoundError(found.resource.name)
                yield [
                    sample
                    for sampler in samplers
                    for sample in self._new(sampler, by_engine.get(sampler.link.name), before)
                ]
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), interval.total_seconds())

    def close(self) -> None:
        """End all streams: the daemon is stopping."""
        self._closed.set()

    def _new(
        self, sampler: Sampler, ids: Collection[str] | None, before: dict[str, ResourceStats]
    ) -> Iterator[ResourceStats]:
        """Give what this listener has not had yet, completed."""
        link = sampler.link
        for id, sample in sampler.latest.items():
            known = self._inventory.known(link, id)
            if known is None or (ids is not None and id not in ids):
                continue
            last = before.get(known.key)
            if last is not None and last.sample_time >= sample.sample_time:
                continue
            before[known.key] = sample
            yield replace(
                sample, name=known.shown.name, host=link.host, cpu_percent=_percent(last, sample)
            )

    @staticmethod
    async def _wait_for(samplers: Sequence[Sampler]) -> None:
        ticks = [asyncio.ensure_future(sampler.ticked()) for sampler in samplers]
        try:
            await asyncio.wait(ticks, timeout=_FIRST)
        finally:
            for tick in ticks:
                tick.cancel()


def _percent(before: ResourceStats | None, now: ResourceStats) -> float | None:
    """Give the CPU used between two samples, in percent of one processor."""
    if before is None or now.cpu_time < before.cpu_time:  # it was started anew
        return None
    wall = (now.sample_time - before.sample_time).total_seconds()
    used = (now.cpu_time - before.cpu_time).total_seconds()
    return round(100 * used / wall, 2) if wall > 0 else None
