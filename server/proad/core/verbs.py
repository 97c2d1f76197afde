"""How every change of a resource goes: its turn, its legality, the driver, the inventory."""

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TypeVar

from proad.core.actor import current_actor
from proad.core.inventory import Inventory
from proad.core.inventory.picture import Known
from proad.core.link import Link
from proad.core.operations import Operations
from proad.core.ports import OnStep, untold
from proad.core.resolve import Found
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    EtagMismatchError,
    ResourceNotFoundError,
    StateError,
)
from proad.model import ACTIVE, EngineEvent, Lifetime, Resource, Updated, Verb, refusal

LOOK_WITHIN = 1.0
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
        self, verb: Verb, found: Found, action: Transition, *, force: bool = False
    ) -> Resource:
        """Take a resource to another state.

        Args:
            verb: decides in which states it is legal.
            found: the resource.
            action: does it.
            force: it does not wait for a graceful stop that is under way.
        """
        link, looks = found.link, self._inventory.looks(found.link)

        async def change() -> Resource:
            async with self._doing(verb, found, force=force) as (known, on_step):
                reads = known.reads
                seen = await link.verb(lambda: action(known.seen, on_step))
                known.drop_detail()
                last = self._last(link, seen)
                if self._inventory.known(link, seen.id) is not known:
                    return last  # it went meanwhile, and another may have come under its id
                if seen.lifetime is Lifetime.TRANSIENT and seen.state not in ACTIVE:
                    looks.drop(seen.id, actor=current_actor())
                elif known.reads != reads:
                    # It was read meanwhile, and nobody knows which reading is the later one.
                    await looks.look(seen.id)
                elif on_step is untold:
                    looks.apply(seen, actor=current_actor())
                else:
                    looks.finish(known, seen)
                stays = self._inventory.known(link, seen.id) is known
            return known.shown if stays else last

        return await self._operations.run(change)

    async def do(self, verb: Verb, found: Found, action: Action[T], *, etag: str = "") -> T:
        """Do anything else to a resource that stays."""
        link, id = found.link, found.resource.id

        async def change() -> T:
            async with self._doing(verb, found, etag=etag) as (known, on_step):
                done = await link.verb(lambda: action(id, on_step))
                # What was told until now may be of before the last of its effects.
                revision = known.shown.revision
                known.drop_detail()
                if isinstance(done, Updated):
                    known.last_detail = done.resource
                after = await self._inventory.looks(link).look(id)
                if after is known and known.shown.revision == revision:
                    self._inventory.picture.touch(known)
            return done

        return await self._operations.run(change)

    async def delete(
        self, found: Found, action: Action[Resource], *, force: bool = False, etag: str = ""
    ) -> Resource:
        """Delete a resource and give it as it last was."""
        link, id = found.link, found.resource.id

        async def change() -> Resource:
            async with self._doing(Verb.DELETE, found, force=force, etag=etag) as (known, on_step):
                last = self._last(link, await link.verb(lambda: action(id, on_step)))
                if self._inventory.known(link, id) is known:  # no other has come under its id
                    self._inventory.looks(link).drop(id, actor=current_actor())
            return last

        return await self._operations.run(change)

    @asynccontextmanager
    async def _doing(
        self, verb: Verb, found: Found, *, force: bool = False, etag: str = ""
    ) -> AsyncIterator[tuple[Known, OnStep]]:
        """Do a verb: wait for its turn, refuse it if it is illegal, show that it is under way.

        Up to there it is given up with its caller, and from there it goes to its end. Gives
        what is known of the resource, and whom to tell the steps.
        """
        link, id, name = found.link, found.resource.id, found.resource.name
        # An id is unique on its host alone: domains are copied with their UUIDs.
        async with self._operations.turn(f"{link.name}/{id}", name, verb, oust=force) as ours:
            known = await self._permit(verb, found, force=force, etag=etag)
            self._operations.begin()
            # Where a graceful stop has the turn, it is that one's activity that shows.
            showing = self._inventory.activity(known, verb) if ours else nullcontext(untold)
            with self._inventory.looks(link).holding(id), showing as on_step:
                try:
                    yield known, on_step
                except (Exception, CancelledError) as error:
                    if ours and isinstance(error, StateError | ResourceNotFoundError):
                        # The driver did nothing: what it met there is not this verb's doing.
                        self._inventory.picture.set_activity(known, None, failure=error)
                    await self._failed(found, error)
                    raise

    async def _permit(self, verb: Verb, found: Found, *, force: bool, etag: str) -> Known:
        link, id = found.link, found.resource.id
        known = self._inventory.known(link, id)
        if known is not None and not etag and refusal(verb, known.seen, force=force) is None:
            return known
        # The engine may be ahead of its own events: no refusal without a look.
        known = await self._inventory.looks(link).look(id, reconfigured=bool(etag))
        if known is None:
            raise ResourceNotFoundError(found.resource.name)
        if error := refusal(verb, known.seen, force=force):
            raise error
        if etag and etag != known.shown.etag:
            raise EtagMismatchError(known.seen.name, current=known.shown.etag)
        return known

    async def _failed(self, found: Found, error: Exception | CancelledError) -> None:
        """Find out what became of a resource before its caller hears of the failure."""
        looks, id = self._inventory.looks(found.link), found.resource.id
        looks.hint(EngineEvent(id=id))
        if isinstance(error, EngineUnreachableError | EngineTimedOutError | CancelledError):
            return  # the engine would not say, or nobody waits
        # The failure is what is told, whatever comes of the look.
        with suppress(Exception):
            async with asyncio.timeout(LOOK_WITHIN):
                await looks.look(id, reconfigured=True)

    def _last(self, link: Link, seen: Resource) -> Resource:
        """Complete what is gone: nothing is done to it any more, or can be."""
        return replace(self._inventory.complete(link, seen), activity=None, allowed_verbs=())
