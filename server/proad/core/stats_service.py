"""Sampling what resources use: each once, however many listen."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import Any

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts, require
from proad.core.inventory import Inventory
from proad.core.resolver import ResolvedResource, Resolver
from proad.errors import (
    CapabilityMissingError,
    ProaError,
    ResourceNotFoundError,
    ShuttingDownError,
)
from proad.model import (
    ACTIVE,
    MissingSample,
    MissingSampleReason,
    Resource,
    ResourceStats,
    StatsBatch,
)
from proad.ports import Stats

_log = structlog.get_logger(__name__)

TICK = 1.0
"""Seconds for which a sample is good for others too, and after which one that failed is
tried again."""
_FIRST = 2.5
"""Seconds that a listener waits for a slow engine before it hears of the others."""

# Characters of why an engine could not be asked: that is told of each resource.
_LONGEST_FAILURE = 400

_NEVER: tuple[float, None] = (-inf, None)


@dataclass(frozen=True, slots=True, eq=False)
class _SampleRequest:
    """What a listener waits for: a sample of each that is active, begun after `since`.

    Attributes:
        ids: the resources; None: all.
        since: the event loop's time.
    """

    ids: Collection[str] | None
    since: float


class Sampler:
    """Samples resources of one engine when somebody wants it.

    Args:
        connection: the engine.
        driver: its driver.
        inventory: knows which resources are active.
    """

    def __init__(self, connection: EngineConnection, driver: Stats, inventory: Inventory) -> None:
        self.connection = connection
        self._driver = driver
        self._inventory = inventory
        # By id: when the last sample was begun, and what came of it, if anything did.
        self._taken: dict[str, tuple[float, ResourceStats | None]] = {}
        # Of the last question, if that had no answer at all.
        self._failure = ""
        self._requests: set[_SampleRequest] = set()
        self._task: asyncio.Task[None] | None = None

    async def sample(self, request: _SampleRequest) -> None:
        """Wait until there is what somebody wants, or the engine is known to be lost."""
        self._requests.add(request)
        try:
            while self._owed(request):
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._take())
                await asyncio.shield(self._task)
        finally:
            self._requests.discard(request)
            if not self._requests and self._task is not None:
                self._task.cancel()
                self._task = None

    def taken(self, request: _SampleRequest) -> Iterator[ResourceStats]:
        """Give what there is of it."""
        for id in self._taken if request.ids is None else request.ids:
            begun, sample = self._taken.get(id, _NEVER)
            if sample is not None and begun > request.since:
                yield sample

    def missing(self, request: _SampleRequest) -> Iterator[MissingSample]:
        """Give what there is no sample of, and why; not what is about to be sampled."""
        ids = request.ids
        if ids is None:
            ids = {id for id, (_, sample) in self._taken.items() if sample is None}
            ids |= self._owed(request) if self._failure else set()
        for id in ids:
            entry = self._inventory.entry(self.connection, id)
            begun, sample = self._taken.get(id, _NEVER)
            if entry is None or (sample is not None and begun > request.since):
                continue
            published, failed = entry.published, self._failure
            if published.state not in ACTIVE:
                if request.ids is not None:
                    words = (
                        f"{published.name!r} is {published.state}: what does not run uses nothing"
                    )
                    yield self._missing(published, MissingSampleReason.NOT_ACTIVE, words)
            elif begun > request.since or failed:
                words = failed or (
                    f"{self.connection.driver.name} gave no numbers of {published.name!r}: it hangs, has "
                    "just ended, or this host does not count what it uses"
                )
                yield self._missing(published, MissingSampleReason.NOT_TOLD, words)

    def _missing(
        self, published: Resource, reason: MissingSampleReason, words: str
    ) -> MissingSample:
        return MissingSample(
            id=published.id,
            kind=published.kind,
            name=published.name,
            host=self.connection.host,
            reason=reason,
            message=words,
        )

    def _owed(self, request: _SampleRequest) -> set[str]:
        """Tell what is still to be sampled."""
        if self.connection.lost:
            return set()
        if request.ids is None:
            active = [r.id for r in self._inventory.all(self.connection) if r.state in ACTIVE]
        else:
            active = [id for id in request.ids if self._is_active(id)]
        return {id for id in active if self._taken.get(id, _NEVER)[0] <= request.since}

    def _is_active(self, id: str) -> bool:
        entry = self._inventory.entry(self.connection, id)
        return entry is not None and entry.published.state in ACTIVE

    async def _take(self) -> None:
        """Sample once what is owed to all who wait."""
        begun = asyncio.get_running_loop().time()
        ids = {id for request in self._requests for id in self._owed(request)}
        if not ids:
            return
        try:
            samples = await self.connection.read(lambda: self._driver.stats(ids))
        except Exception as error:  # noqa: BLE001 - one fault of a driver must not end it for all
            if not isinstance(error, ProaError):  # of those, health and GetHost tell
                _log.exception("sampling failed", engine=self.connection.name)
            told = error.message if isinstance(error, ProaError) else "see the daemon's log"
            self._failure = (
                f"{self.connection.driver.name} could not be asked: {told[:_LONGEST_FAILURE]}"
            )
            await asyncio.sleep(TICK)
            return
        self._failure = ""
        self._taken = {id: one for id, one in self._taken.items() if self._is_active(id)}
        self._taken.update((id, (begun, samples.get(id))) for id in ids)


class _Subscription:
    """What one listener hears of one engine.

    Attributes:
        answer: to the question that is open; None: there is none.
    """

    def __init__(self, sampler: Sampler, ids: Collection[str] | None, inventory: Inventory) -> None:
        self.answer: asyncio.Future[None] | None = None
        self._sampler = sampler
        self._inventory = inventory
        self._want = _SampleRequest(ids, -inf)
        self._heard = -inf
        self._before: dict[str, ResourceStats] = {}

    def ask(self) -> asyncio.Future[None]:
        """Ask for samples that were not heard yet."""
        now = asyncio.get_running_loop().time()
        self._want = _SampleRequest(self._want.ids, max(now - TICK, self._heard))
        self.answer = asyncio.ensure_future(self._sampler.sample(self._want))
        return self.answer

    def hear(self) -> StatsBatch:
        """Give the samples that were asked for, completed, if they have come."""
        if self.answer is None:
            return StatsBatch()
        if not self.answer.done():
            return StatsBatch(missing=tuple(self._sampler.missing(self._want)))
        self.answer.result()
        self.answer = None
        self._heard = asyncio.get_running_loop().time()
        connection, before = self._sampler.connection, self._before
        # Of those that have gone nothing is kept.
        self._before = {
            id: it for id, it in before.items() if self._inventory.entry(connection, id)
        }
        stats = []
        for sample in self._sampler.taken(self._want):
            if (entry := self._inventory.entry(connection, sample.id)) is None:
                continue
            percent = _percent(before.get(sample.id), sample)
            self._before[sample.id] = sample
            stats.append(
                replace(
                    sample, name=entry.published.name, host=connection.host, cpu_percent=percent
                )
            )
        return StatsBatch(stats=tuple(stats), missing=tuple(self._sampler.missing(self._want)))

    def close(self) -> None:
        """Wait for nothing any more."""
        if self.answer is not None:
            self.answer.cancel()


class StatsService:
    """What StreamStats does."""

    def __init__(self, hosts: Hosts, resolver: Resolver, inventory: Inventory) -> None:
        self._resolver = resolver
        self._inventory = inventory
        self._samplers = {
            connection.name: Sampler(connection, connection.driver, inventory)
            for connection in hosts.connections
            if isinstance(connection.driver, Stats)
        }
        self._closed = asyncio.Event()

    async def stream(self, refs: Sequence[str], interval: timedelta) -> AsyncIterator[StatsBatch]:
        """Give samples for ever, and why there is none of what is asked for; what an engine
        says late is given when it comes.

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
        subscriptions = self._subscriptions(named)
        clock, seconds = asyncio.get_running_loop().time, interval.total_seconds()
        closing = asyncio.ensure_future(self._closed.wait())
        patience = _FIRST
        try:
            while True:
                due = clock() + seconds
                asked = asyncio.gather(
                    *(
                        subscription.ask()
                        for subscription in subscriptions
                        if subscription.answer is None
                    )
                )
                asked.add_done_callback(_retrieved)
                await _first_of(closing, asked, seconds=patience)
                yield await self._heard(subscriptions, named)
                while (left := due - clock()) > 0:
                    late = [
                        subscription.answer
                        for subscription in subscriptions
                        if subscription.answer is not None
                    ]
                    if await _first_of(closing, *late, seconds=left):
                        yield await self._heard(subscriptions, named)
                patience = min(_FIRST, seconds)
        finally:
            closing.cancel()
            for subscription in subscriptions:
                subscription.close()

    def close(self) -> None:
        """End all streams: the daemon is stopping."""
        self._closed.set()

    def _subscriptions(self, named: Sequence[ResolvedResource]) -> list[_Subscription]:
        """Make a subscription of each engine that has what was named; of all if nothing was."""
        by_engine: dict[str, set[str]] = {}
        for found in named:
            require(found.connection.driver, Stats)
            by_engine.setdefault(found.connection.name, set()).add(found.resource.id)
        subscriptions = [
            _Subscription(sampler, by_engine.get(name), self._inventory)
            for name, sampler in self._samplers.items()
            if not named or name in by_engine
        ]
        if not subscriptions:
            raise CapabilityMissingError("stats", driver="no engine")
        return subscriptions

    async def _heard(
        self, subscriptions: Sequence[_Subscription], named: Sequence[ResolvedResource]
    ) -> StatsBatch:
        """Give what has come, unless there is a reason to end."""
        if self._closed.is_set():
            raise ShuttingDownError
        for found in named:
            await self._inventory.ready(found.connection)
            if self._inventory.entry(found.connection, found.resource.id) is None:
                raise ResourceNotFoundError(found.resource.name)
        heard = [subscription.hear() for subscription in subscriptions]
        return StatsBatch(
            stats=tuple(sample for each in heard for sample in each.stats),
            missing=tuple(lack for each in heard for lack in each.missing),
        )


def _retrieved(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()  # whoever asked may have gone


async def _first_of(*awaited: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for one of these, and tell whether it came in time."""
    come, _ = await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(come)


def _percent(before: ResourceStats | None, now: ResourceStats) -> float | None:
    """Give the CPU used between two samples, in percent of one processor."""
    if before is None or now.cpu_time < before.cpu_time:  # it was started anew
        return None
    wall = (now.sample_time - before.sample_time).total_seconds()
    used = (now.cpu_time - before.cpu_time).total_seconds()
    return round(100 * used / wall, 2) if wall > 0 else None
