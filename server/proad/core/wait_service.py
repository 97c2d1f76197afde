"""Waiting until a condition holds for a resource."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from proad.core.actor import current_actor
from proad.core.conditions import HOLDS, PENDING, Verdict, verdict_on
from proad.core.engine_connection import EngineConnection
from proad.core.inventory import Entry, Inventory
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.slices import TimeSlicer
from proad.core.tenancy import current_visibility
from proad.errors import (
    ConditionImpossibleError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
    TooManyWaitsError,
    WaitTimedOutError,
)
from proad.model import Resource, ResourceKind, WaitCondition, WaitOptions

MOST_WAITS = 1000
"""The most waits of one user at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitTiming:
    """Durations of waits, in seconds.

    Attributes:
        look_again: before a wait looks again at what comes without an event: the lease of an
            address, or an engine that did not answer.
    """

    look_again: float = 1.0


@dataclass(slots=True)
class _Progress:
    """How far a wait has come.

    Attributes:
        resolved: the resource, once it is found.
        verdict: the last verdict.
        unreachable: why the resource could not be looked for; None: it could.
    """

    resolved: ResolvedResource | None = None
    verdict: Verdict = PENDING
    unreachable: EngineUnreachableError | None = None


class WaitService:
    """Waits for conditions of resources, woken by the changes of each.

    A wait costs a task and nothing else until its resource changes. Thousands that begin, look or
    end at once do so in slices. An engine that is lost ends no wait before its time.

    Args:
        resolver: finds the resources.
        inventory: the resources and their changes.
        slicer: shares the loop's time among the waits.
        timing: the durations.
        most: the most waits of one user at a time.
    """

    def __init__(
        self,
        resolver: Resolver,
        inventory: Inventory,
        slicer: TimeSlicer,
        timing: WaitTiming = WaitTiming(),
        *,
        most: int = MOST_WAITS,
    ) -> None:
        self._resolver = resolver
        self._inventory = inventory
        self._slicer = slicer
        self._timing = timing
        self._most = most
        self._waits: Counter[str] = Counter()

    async def wait(self, ref: str, options: WaitOptions) -> Resource | None:
        """Return the SUMMARY of a resource once a condition holds for it; None: it is gone.

        Args:
            ref: what the caller wrote for the resource.
            options: the condition, and how long to wait.

        Raises:
            ConditionImpossibleError: the condition cannot hold any more.
            WaitTimedOutError: the condition did not hold in time.
            EngineUnreachableError: nor did the engine answer in the end.
            TooManyWaitsError: the user has the most waits that a user may have.
            ShuttingDownError: the daemon is stopping.
        """
        progress = _Progress()
        with self._counted(current_actor()):
            try:
                async with asyncio.timeout(options.timeout.total_seconds()) as limit:
                    return await self._until(ref, options.condition, progress)
            except TimeoutError:
                if not limit.expired():
                    raise
            await self._slicer.turn()
        raise self._timed_out(ref, options, progress)

    async def _until(
        self, ref: str, condition: WaitCondition, progress: _Progress
    ) -> Resource | None:
        entry = None
        await self._slicer.turn()
        while entry is None:
            try:
                progress.resolved = resolved = await self._find(ref, progress)
            except ResourceNotFoundError:
                if condition.gone is None:
                    raise
                return None
            entry = self._inventory.entry(resolved.connection, resolved.resource.id)
        history = self._inventory.history
        with history.signal(entry.path) as changed:
            while True:
                changed.clear()
                history.check_open()
                progress.verdict, look_again = await self._look(condition, resolved, entry)
                if progress.verdict.holds:
                    return None if condition.gone is not None else entry.published
                if progress.verdict.impossible:
                    raise _impossible(resolved.resource, condition, progress.verdict.impossible)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.look_again if look_again else None):
                        await changed.wait()
                await self._slicer.turn()

    async def _find(self, ref: str, progress: _Progress) -> ResolvedResource:
        """Find the resource; while its engine is lost, again and again."""
        while True:
            try:
                return await self._resolver.find(ref)
            except EngineUnreachableError as error:
                progress.unreachable = error
            await asyncio.sleep(self._timing.look_again)
            self._inventory.history.check_open()

    async def _look(
        self, condition: WaitCondition, resolved: ResolvedResource, entry: Entry
    ) -> tuple[Verdict, bool]:
        """Return the verdict, and whether it may change without an event."""
        connection, id = resolved.connection, resolved.resource.id
        there = self._inventory.entry(connection, id) is entry
        if not there or not current_visibility().shows(entry.published):
            # Gone, whatever has come under its id since, or handed over to somebody else.
            if condition.gone is not None:
                return HOLDS, False
            return Verdict(impossible="it was deleted meanwhile"), False
        if not self._inventory.synced(connection):
            return Verdict(now="its engine does not answer"), True
        if condition.gone is not None or condition.in_state is not None:
            return verdict_on(condition, entry.published), False
        return await self._look_in_full(condition, connection, entry)

    async def _look_in_full(
        self, condition: WaitCondition, connection: EngineConnection, entry: Entry
    ) -> tuple[Verdict, bool]:
        id = entry.observed.id
        try:
            full = await self._inventory.full(connection, id)
        except ResourceNotFoundError:
            return PENDING, True  # the next look finds it gone
        except ProaError as error:
            return Verdict(now=f"it cannot be read: {error.message}"), True
        if full is entry.published:
            return Verdict(now="it cannot be read"), True
        leased = condition.has_address is not None and full.kind is ResourceKind.DOMAIN
        return verdict_on(condition, full), leased

    def _timed_out(self, ref: str, options: WaitOptions, progress: _Progress) -> ProaError:
        if progress.resolved is None:
            return progress.unreachable or WaitTimedOutError(ref, options.timeout, now="not found")
        resolved = progress.resolved
        if not self._inventory.synced(resolved.connection):
            return resolved.connection.unreachable()
        entry = self._inventory.entry(resolved.connection, resolved.resource.id)
        resource = resolved.resource if entry is None else entry.published
        now = ", and ".join(filter(None, [f"is {resource.state}", progress.verdict.now]))
        return WaitTimedOutError(
            resource.name, options.timeout, now=now, state=resource.state, path=resource.path
        )

    @contextmanager
    def _counted(self, user: str) -> Iterator[None]:
        if self._waits[user] >= self._most:
            raise TooManyWaitsError(self._most)
        self._waits[user] += 1
        try:
            yield
        finally:
            self._waits[user] -= 1
            if not self._waits[user]:
                del self._waits[user]


def _impossible(resource: Resource, condition: WaitCondition, why: str) -> ConditionImpossibleError:
    return ConditionImpossibleError(
        resource.name,
        str(condition),
        condition.outcome,
        why,
        state=resource.state,
        path=resource.path,
    )
