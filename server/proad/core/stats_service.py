"""Streams of what resources use."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import Any

from proad.core.hosts import Hosts, require
from proad.core.inventory import Inventory
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.sampler import Sampler, SampleRequest
from proad.core.tenancy import current_visibility
from proad.errors import CapabilityMissingError, ResourceNotFoundError, ShuttingDownError
from proad.model import EngineRef, ResourceFilter, ResourceStats, StatsBatch
from proad.ports import Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsStreamTiming:
    """Durations of streams of statistics, in seconds.

    Attributes:
        sample_age: age up to which a sample is shared with other streams, and time after
            which a sample that failed is tried again.
        first_patience: time that a new stream waits for a slow engine before it reports the
            samples of the others.
    """

    sample_age: float = 1.0
    first_patience: float = 2.5


class _Subscription:
    """The samples of one engine for one stream.

    Attributes:
        answer: the answer to the open request; None: no request is open.
    """

    def __init__(
        self,
        sampler: Sampler,
        request: SampleRequest,
        inventory: Inventory,
        sample_age: float,
    ) -> None:
        self.answer: asyncio.Future[None] | None = None
        self._sampler = sampler
        self._inventory = inventory
        self._sample_age = sample_age
        self._request = request
        self._collect_time = -inf
        self._before: dict[str, ResourceStats] = {}

    def request(self) -> asyncio.Future[None]:
        """Request samples that this stream has not had yet."""
        now = asyncio.get_running_loop().time()
        since = max(now - self._sample_age, self._collect_time)
        self._request = replace(self._request, since=since)
        self.answer = asyncio.ensure_future(self._sampler.sample(self._request))
        return self.answer

    async def collect(self) -> StatsBatch:
        """Return the requested samples, completed, or why there are none yet."""
        if self.answer is None:
            return StatsBatch()
        if not self.answer.done():
            return StatsBatch(missing=tuple(self._sampler.missing(self._request)))
        self.answer.result()
        self.answer = None
        self._collect_time = asyncio.get_running_loop().time()
        connection, before = self._sampler.connection, self._before
        # Keep nothing of resources that have gone.
        self._before = {
            id: sample for id, sample in before.items() if self._inventory.entry(connection, id)
        }
        stats = []
        samples = self._sampler.samples(self._request)
        async for sample in self._inventory.slicer.each(samples):
            if (entry := self._inventory.entry(connection, sample.id)) is None:
                continue
            percent = _cpu_percent(before.get(sample.id), sample)
            self._before[sample.id] = sample
            stats.append(
                replace(
                    sample, name=entry.published.name, engine=connection.ref, cpu_percent=percent
                )
            )
        return StatsBatch(stats=tuple(stats), missing=tuple(self._sampler.missing(self._request)))

    def close(self) -> None:
        """Withdraw the open request."""
        if self.answer is not None:
            self.answer.cancel()


class StatsService:
    """Streams the samples of resources on all hosts.

    Args:
        hosts: the host connections.
        resolver: finds the resources that a caller names.
        inventory: knows which resources there are.
        timing: durations.
    """

    def __init__(
        self,
        hosts: Hosts,
        resolver: Resolver,
        inventory: Inventory,
        timing: StatsStreamTiming = StatsStreamTiming(),
    ) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._inventory = inventory
        self._timing = timing
        self._samplers = {
            connection.ref: Sampler(
                connection, connection.driver, inventory, retry_after=timing.sample_age
            )
            for connection in hosts.connections
            if isinstance(connection.driver, Stats)
        }
        self._closed = asyncio.Event()

    async def stream(
        self,
        refs: Sequence[str],
        interval: timedelta,
        which: ResourceFilter = ResourceFilter(),
    ) -> AsyncIterator[StatsBatch]:
        """Yield samples for ever, and why there are none of what is asked for.

        What an engine answers late is yielded when it comes.

        Args:
            refs: what the caller wrote for the resources; empty: all active ones that
                `which` lets through, those that come later included.
            interval: time between two samples.
            which: the filter, where no resources are named.

        Raises:
            HostNotFoundError: the filter names a host that is not configured.
            ResourceNotFoundError: a resource that was named does not exist, or no longer.
            EngineUnreachableError: the engine of a resource that was named does not answer.
            CapabilityMissingError: its engine has no statistics.
            ShuttingDownError: the daemon is stopping.
        """
        named = [await self._resolver.find(ref) for ref in refs]
        subscriptions = self._subscribe(named, which)
        clock, seconds = asyncio.get_running_loop().time, interval.total_seconds()
        closing = asyncio.ensure_future(self._closed.wait())
        patience = self._timing.first_patience
        try:
            while True:
                due = clock() + seconds
                requests = asyncio.gather(
                    *(each.request() for each in subscriptions if each.answer is None)
                )
                requests.add_done_callback(_retrieve_exception)
                await _first_of(closing, requests, seconds=patience)
                yield await self._collect(subscriptions, named)
                while (left := due - clock()) > 0:
                    late = [each.answer for each in subscriptions if each.answer is not None]
                    if await _first_of(closing, *late, seconds=left):
                        yield await self._collect(subscriptions, named)
                patience = min(self._timing.first_patience, seconds)
        finally:
            closing.cancel()
            for each in subscriptions:
                each.close()

    def close(self) -> None:
        """End all streams: the daemon is stopping."""
        self._closed.set()

    def _subscribe(
        self, named: Sequence[ResolvedResource], which: ResourceFilter
    ) -> list[_Subscription]:
        """Subscribe to each engine that has a named resource, or that the filter covers."""
        covered = {connection.ref for connection in self._hosts.covered(which)}
        by_engine: dict[EngineRef, set[str]] = {}
        for resolved in named:
            require(resolved.driver, Stats)
            by_engine.setdefault(resolved.connection.ref, set()).add(resolved.resource.id)
        subscriptions = [
            _Subscription(
                sampler,
                SampleRequest(by_engine.get(name), -inf, which, current_visibility()),
                self._inventory,
                self._timing.sample_age,
            )
            for name, sampler in self._samplers.items()
            if name in (by_engine if named else covered)
        ]
        if not subscriptions:
            raise CapabilityMissingError("stats", driver="no engine")
        return subscriptions

    async def _collect(
        self, subscriptions: Sequence[_Subscription], named: Sequence[ResolvedResource]
    ) -> StatsBatch:
        """Return the samples that have come, unless the stream must end."""
        if self._closed.is_set():
            raise ShuttingDownError
        for resolved in named:
            await self._inventory.ready(resolved.connection)
            entry = self._inventory.entry(resolved.connection, resolved.resource.id)
            if entry is None or not current_visibility().shows(entry.published):
                raise ResourceNotFoundError(resolved.resource.name)
        batches = [await each.collect() for each in subscriptions]
        return StatsBatch(
            stats=tuple(sample for batch in batches for sample in batch.stats),
            missing=tuple(missing for batch in batches for missing in batch.missing),
        )


def _retrieve_exception(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()  # the stream may have ended: asyncio must not log it as never retrieved


async def _first_of(*awaited: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for one of several futures, and return whether one was done in time."""
    done, _ = await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _cpu_percent(before: ResourceStats | None, now: ResourceStats) -> float | None:
    """Return the CPU time used between two samples, in percent of one processor."""
    if before is None or now.cpu_time < before.cpu_time:  # the resource was restarted
        return None
    wall = (now.sample_time - before.sample_time).total_seconds()
    used = (now.cpu_time - before.cpu_time).total_seconds()
    return round(100 * used / wall, 2) if wall > 0 else None
