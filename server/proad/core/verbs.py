"""How every change of a resource goes: its turn, its legality, the driver, the inventory."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from proad.core.actor import current_actor
from proad.core.inventory import Inventory
from proad.core.inventory.picture import Known
from proad.core.link import Link
from proad.core.operations import Operations
from proad.core.ports import OnStep, untold
from proad.core.resolve import Found
from proad.errors import EtagMismatchError, ResourceNotFoundError
from proad.model import ACTIVE, EngineEvent, Lifetime, Resource, Updated, Verb, refusal

T = TypeVar("T")
R = TypeVar("R")
Action = Callable[[str, OnStep], Awaitable[T]]
"""Does something, given the resource's full id and whom to tell the steps."""
Transition = Callable[[Resource, OnStep], Awaitable[Resource]]
"""Takes a resource to another state, given its SUMMARY, and gives that of afterwards."""


class Verbs:
    """Does verbs on resources that are found already.

    Each waits for its turn on the resource, is refused if it is illegal now, and is
    carried out even if the caller goes away. The inventory has what came of it when it
    returns. All of them raise:

        StateError: it is not legal now. The engine was not asked to do it.
        EtagMismatchError: the resource no longer has the etag that was given.
        ActivityInProgressError: another verb has the turn for too long.
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
        mirror = self._inventory.mirror(found.link)

        async def body(known: Known, on_step: OnStep) -> Resource | None:
            reads = known.reads
            seen = await found.link.verb(lambda: action(known.seen, on_step))
            if seen.lifetime is Lifetime.TRANSIENT and seen.state not in ACTIVE:
                last = self._last(found.link, seen)
                mirror.drop(seen.id, actor=current_actor())
                return last
            if known.reads != reads:
                # It was read meanwhile, and nobody knows which reading is the later one.
                await mirror.look(seen.id)
            elif on_step is untold:
                mirror.apply(seen, actor=current_actor())
            else:
                mirror.finish(known, seen)
            if self._inventory.known(found.link, seen.id) is not known:
                return self._last(found.link, seen)  # deleted while it was done
            return None

        def answer(known: Known, gone: Resource | None) -> Resource:
            return gone or known.shown

        return await self._run(verb, found, body, answer, force=force)

    async def do(self, verb: Verb, found: Found, action: Action[T], *, etag: str = "") -> T:
        """Do anything else to a resource that stays."""
        mirror = self._inventory.mirror(found.link)

        async def body(known: Known, on_step: OnStep) -> T:
            revision = known.shown.revision
            done = await found.link.verb(lambda: action(found.resource.id, on_step))
            known.drop_detail()
            if isinstance(done, Updated):
                known.last_detail = done.resource
            after = await mirror.look(found.resource.id)
            if after is known and known.shown.revision == revision:
                self._inventory.picture.touch(known)
            return done

        return await self._run(verb, found, body, lambda _, done: done, etag=etag)

    async def delete(
        self, found: Found, action: Action[Resource], *, force: bool = False, etag: str = ""
    ) -> Resource:
        """Delete a resource and give it as it last was."""

        async def body(_known: Known, on_step: OnStep) -> Resource:
            last = await found.link.verb(lambda: action(found.resource.id, on_step))
            completed = self._last(found.link, last)
            self._inventory.mirror(found.link).drop(last.id, actor=current_actor())
            return completed

        return await self._run(
            Verb.DELETE, found, body, lambda _, last: last, force=force, etag=etag
        )

    async def _run(
        self,
        verb: Verb,
        found: Found,
        body: Callable[[Known, OnStep], Awaitable[T]],
        answer: Callable[[Known, T], R],
        *,
        force: bool = False,
        etag: str = "",
    ) -> R:
        link, id, name = found.link, found.resource.id, found.resource.name
        mirror = self._inventory.mirror(link)

        async def change() -> R:
            # An id is unique on its host alone: domains are copied with their UUIDs.
            async with self._operations.turn(f"{link.name}/{id}", name, verb, oust=force) as ours:
                known = await self._permit(verb, found, force=force, etag=etag)
                try:
                    with mirror.holding(id):
                        if not ours:  # a graceful stop has the turn, and its activity shows
                            return answer(known, await body(known, untold))
                        with self._inventory.activity(known, verb) as on_step:
                            done = await body(known, on_step)
                        return answer(known, done)
                except BaseException:
                    mirror.hint(EngineEvent(id=id))  # whatever became of it
                    raise

        return await self._operations.run(change)

    def _last(self, link: Link, seen: Resource) -> Resource:
        """Complete what is gone: nothing is done to it any more, or can be."""
        return replace(self._inventory.complete(link, seen), activity=None, allowed_verbs=())

    async def _permit(self, verb: Verb, found: Found, *, force: bool, etag: str) -> Known:
        link, id = found.link, found.resource.id
        known = self._inventory.known(link, id)
        if known is not None and not etag and refusal(verb, known.seen, force=force) is None:
            return known
        # The engine may be ahead of its own events: no refusal without a look.
        known = await self._inventory.mirror(link).look(id)
        if known is None:
            raise ResourceNotFoundError(found.resource.name)
        if error := refusal(verb, known.seen, force=force):
            raise error
        if etag and etag != known.shown.etag:
            raise EtagMismatchError(known.seen.name, current=known.shown.etag)
        return known
