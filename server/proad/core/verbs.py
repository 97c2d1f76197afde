"""How every change of a resource goes: its turn, its legality, the driver, the inventory."""

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TypeVar

from proad.core.actor import current_actor
from proad.core.engine_connection import EngineConnection
from proad.core.inventory import Inventory
from proad.core.inventory.store import Entry
from proad.core.operations import Operations
from proad.core.ports import OnStep, untold
from proad.core.resolver import ResolvedResource
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    EtagMismatchError,
    ResourceNotFoundError,
    StateError,
)
from proad.model import ACTIVE, EngineEvent, Lifetime, Resource, Updated, Verb, refusal

REFRESH_WITHIN = 1.0
"""Seconds that the answer of a verb that failed waits for a look at what became of it."""

T = TypeVar("T")
Action = Callable[[str, OnStep], Awaitable[T]]
"""Does something, given the resource's full id and whom to tell the steps."""
Transition = Callable[[Resource, OnStep], Awaitable[Resource]]
"""Takes a resource to another state, given its SUMMARY, and gives that of afterwards."""


class Verbs:
    """Does verbs on resources that are found already.

    Each waits for its turn on the resource, is refused if it is illegal now, and, once the
    engine is asked, is carried out even if the caller goes away. The inventory has what came
    of it when it returns or fails, unless the engine does not answer. All of them raise:

        StateError: it is not legal now. The engine was not asked to do it.
        EtagMismatchError: the resource no longer has the etag that was given.
        ActivityInProgressError: others had the turn for too long, or one with force took it.
    """

    def __init__(self, operations: Operations, inventory: Inventory) -> None:
        self._operations = operations
        self._inventory = inventory

    async def transition(
        self, verb: Verb, found: ResolvedResource, action: Transition, *, force: bool = False
    ) -> Resource:
        """Take a resource to another state.

        Args:
            verb: decides in which states it is legal.
            found: the resource.
            action: does it.
            force: it does not wait for a graceful stop that is under way.
        """
        connection, refresher = found.connection, self._inventory.refresher(found.connection)

        async def change() -> Resource:
            async with self._doing(verb, found, force=force) as (entry, on_step):
                reads = entry.reads
                observed = await connection.verb(lambda: action(entry.observed, on_step))
                entry.drop_detail()
                last = self._last(connection, observed)
                if self._inventory.entry(connection, observed.id) is not entry:
                    return last  # it went meanwhile, and another may have come under its id
                if observed.lifetime is Lifetime.TRANSIENT and observed.state not in ACTIVE:
                    refresher.drop(observed.id, actor=current_actor())
                elif entry.reads != reads:
                    # It was read meanwhile, and nobody knows which reading is the later one.
                    await refresher.refresh(observed.id)
                elif on_step is untold:
                    refresher.apply(observed, actor=current_actor())
                else:
                    refresher.finish(entry, observed)
                stays = self._inventory.entry(connection, observed.id) is entry
            return entry.published if stays else last

        return await self._operations.run(change)

    async def do(
        self, verb: Verb, found: ResolvedResource, action: Action[T], *, etag: str = ""
    ) -> T:
        """Do anything else to a resource that stays."""
        connection, id = found.connection, found.resource.id

        async def change() -> T:
            async with self._doing(verb, found, etag=etag) as (entry, on_step):
                done = await connection.verb(lambda: action(id, on_step))
                # What was told until now may be of before the last of its effects.
                revision = entry.published.revision
                entry.drop_detail()
                if isinstance(done, Updated):
                    entry.last_detail = done.resource
                after = await self._inventory.refresher(connection).refresh(id)
                if after is entry and entry.published.revision == revision:
                    self._inventory.store.touch(entry)
            return done

        return await self._operations.run(change)

    async def delete(
        self,
        found: ResolvedResource,
        action: Action[Resource],
        *,
        force: bool = False,
        etag: str = "",
    ) -> Resource:
        """Delete a resource and give it as it last was."""
        connection, id = found.connection, found.resource.id

        async def change() -> Resource:
            async with self._doing(Verb.DELETE, found, force=force, etag=etag) as (entry, on_step):
                last = self._last(connection, await connection.verb(lambda: action(id, on_step)))
                if self._inventory.entry(connection, id) is entry:  # no other has come under its id
                    self._inventory.refresher(connection).drop(id, actor=current_actor())
            return last

        return await self._operations.run(change)

    @asynccontextmanager
    async def _doing(
        self, verb: Verb, found: ResolvedResource, *, force: bool = False, etag: str = ""
    ) -> AsyncIterator[tuple[Entry, OnStep]]:
        """Do a verb: wait for its turn, refuse it if it is illegal, show that it is under way.

        Up to there it is given up with its caller, and from there it goes to its end. Gives
        what is known of the resource, and whom to tell the steps.
        """
        connection, id, name = found.connection, found.resource.id, found.resource.name
        # An id is unique on its host alone: domains are copied with their UUIDs.
        async with self._operations.turn(f"{connection.name}/{id}", name, verb, oust=force) as ours:
            entry = await self._permit(verb, found, force=force, etag=etag)
            self._operations.begin()
            # Where a graceful stop has the turn, it is that one's activity that shows.
            showing = self._inventory.activity(entry, verb) if ours else nullcontext(untold)
            with self._inventory.refresher(connection).holding(id), showing as on_step:
                try:
                    yield entry, on_step
                except (Exception, CancelledError) as error:
                    if ours and isinstance(error, StateError | ResourceNotFoundError):
                        # The driver did nothing: what it met there is not this verb's doing.
                        self._inventory.store.set_activity(entry, None, failure=error)
                    await self._failed(found, error)
                    raise

    async def _permit(
        self, verb: Verb, found: ResolvedResource, *, force: bool, etag: str
    ) -> Entry:
        connection, id = found.connection, found.resource.id
        entry = self._inventory.entry(connection, id)
        if entry is not None and not etag and refusal(verb, entry.observed, force=force) is None:
            return entry
        # The engine may be ahead of its own events: no refusal without a look.
        entry = await self._inventory.refresher(connection).refresh(id, reconfigured=bool(etag))
        if entry is None:
            raise ResourceNotFoundError(found.resource.name)
        if error := refusal(verb, entry.observed, force=force):
            raise error
        if etag and etag != entry.published.etag:
            raise EtagMismatchError(entry.observed.name, current=entry.published.etag)
        return entry

    async def _failed(self, found: ResolvedResource, error: Exception | CancelledError) -> None:
        """Find out what became of a resource before its caller hears of the failure."""
        refresher, id = self._inventory.refresher(found.connection), found.resource.id
        refresher.mark_dirty(EngineEvent(id=id))
        if isinstance(error, EngineUnreachableError | EngineTimedOutError | CancelledError):
            return  # the engine would not say, or nobody waits
        # The failure is what is told, whatever comes of the look.
        with suppress(Exception):
            async with asyncio.timeout(REFRESH_WITHIN):
                await refresher.refresh(id, reconfigured=True)

    def _last(self, connection: EngineConnection, observed: Resource) -> Resource:
        """Complete what is gone: nothing is done to it any more, or can be."""
        return replace(
            self._inventory.complete(connection, observed), activity=None, allowed_verbs=()
        )
