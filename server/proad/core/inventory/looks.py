"""Looking at single resources again: when something hints at them, or somebody asks."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import structlog

from proad.core.actor import current_actor
from proad.core.inventory.picture import Known, Picture
from proad.core.link import Link
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import EngineEvent, Resource, ResourceView

_log = structlog.get_logger(__name__)

LOOKS = 4
"""Looks at an engine at a time: verbs must find a thread too."""
HOLD = 0.1
"""Seconds that a look waits for a verb on the same resource, whose result says as much."""
HOLD_AFTER = 0.03
"""Seconds that it waits for another one after that."""
HOLD_AT_MOST = 1.0
"""Seconds that a look waits at most, such as one at what nobody knows yet for a create that
is under way."""
_LOOK_AGAIN = 1.0


@dataclass(slots=True)
class _Hint:
    """That something happened to a resource, and who waits for a look at it."""

    event: EngineEvent
    actor: str | None = None
    waiters: list["asyncio.Future[Known | None]"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Maker:
    """A call that makes a resource of this name, or, without one, any number of changes."""

    name: str
    actor: str
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Looks:
    """Looks at one engine's resources, one by one, and takes what it finds.

    Args:
        link: the engine.
        picture: what is kept.
    """

    def __init__(self, link: Link, picture: Picture) -> None:
        self.link = link
        self._picture = picture
        self._slots = asyncio.Semaphore(LOOKS)
        self._hints: dict[str, _Hint] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        # Ids that something happened to since the list under way was asked for.
        self._touched: set[str] | None = None
        self._held: dict[str, asyncio.Event] = {}
        self._makers: set[_Maker] = set()

    async def close(self) -> None:
        """End the looks under way."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hint(self, event: EngineEvent) -> None:
        """Look at a resource again, soon."""
        known = self._picture.get(self.link.name, event.id)
        if known is not None:
            known.drop_detail()
            known.unsettled |= event.reconfigured
        self._hint(event)

    async def look(self, id: str, *, actor: str | None = None) -> Known | None:
        """Look at a resource now; None: there is none.

        Args:
            id: its full id.
            actor: whose call made what is found.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        waiter: asyncio.Future[Known | None] = asyncio.get_running_loop().create_future()
        hint = self._hint(EngineEvent(id=id))
        hint.waiters.append(waiter)
        if actor is not None:
            hint.actor = actor
        return await self.link.read(lambda: waiter)

    def apply(self, seen: Resource, *, actor: str | None = None) -> Known:
        """Take a SUMMARY that the caller has just read."""
        self._touch(seen.id)
        return self._picture.put(self.link.name, self.link.host, seen, actor=actor)

    def finish(self, known: Known, seen: Resource) -> None:
        """Take what a verb read at its end."""
        self._touch(seen.id)
        self._picture.finish(known, seen)

    def drop(self, id: str, *, actor: str | None = None) -> None:
        """Forget a resource that the caller has just seen go."""
        self._touch(id)
        self._picture.remove(self.link.name, id, actor=actor)

    @contextmanager
    def holding(self, id: str) -> Iterator[None]:
        """Put off looks at a resource for a moment: a verb is about to say the same.

        Also for a moment after it, in which the next one may come: a resume after a pause.
        """
        loop = asyncio.get_running_loop()
        over = self._held[id] = asyncio.Event()
        timer = loop.call_later(HOLD, over.set)

        def let_go() -> None:
            over.set()
            if self._held.get(id) is over:
                del self._held[id]

        try:
            yield
        finally:
            timer.cancel()
            loop.call_later(HOLD_AFTER, let_go)

    @contextmanager
    def making(self, name: str = "") -> Iterator[None]:
        """Know whose doing it is that a resource comes, or many go.

        Without a name, looks at what is new, or gone, are put off for a moment: the call
        is about to say which are its own.

        Args:
            name: of the one that is being made.
        """
        maker = _Maker(name, current_actor())
        self._makers.add(maker)
        timer = asyncio.get_running_loop().call_later(HOLD_AT_MOST, maker.over.set)
        try:
            yield
        finally:
            timer.cancel()
            maker.over.set()
            self._makers.discard(maker)

    def _touch(self, id: str) -> None:
        if self._touched is not None:
            self._touched.add(id)

    def _hint(self, event: EngineEvent) -> _Hint:
        self._touch(event.id)
        hint = self._hints.get(event.id)
        if hint is None:
            hint = self._hints[event.id] = _Hint(event)
        else:
            hint.event |= event
        if event.id not in self._looking:
            self._looking[event.id] = asyncio.create_task(self._look(event.id))
        return hint

    async def _look(self, id: str) -> None:
        """Look at one resource until nothing more happens to it."""
        try:
            await self._look_until_quiet(id)
        finally:
            del self._looking[id]

    async def _look_until_quiet(self, id: str) -> None:
        while (hint := self._hints.get(id)) is not None:
            if not hint.waiters:
                await self._release(id, hint)
            async with self._slots:
                del self._hints[id]
                place = self._place(id)
                try:
                    fresh = await self._read(id, ResourceView.SUMMARY)
                    known = self._picture.get(self.link.name, id)
                    detail = None
                    if hint.event.reconfigured and known is not None and known.last_detail:
                        # An event may tell of what we did and know already.
                        detail = await self._read(id, ResourceView.FULL)
                except Exception as error:  # noqa: BLE001 - who waits must hear of a fault too
                    self._failed(hint, error)
                    continue
            if id in self._held and not hint.waiters and not self._held[id].is_set():
                # A verb began meanwhile: what was read may be of before or after it.
                self._hint(hint.event)
                continue
            if self._place(id) != place:
                # One ended meanwhile: what it told may be later than what was read.
                again = self._hint(hint.event)
                again.waiters += hint.waiters
                again.actor = again.actor or hint.actor
                continue
            self._take(id, fresh, detail, hint)

    def _place(self, id: str) -> tuple[Known, int] | None:
        """Tell which reading of a resource is the last one."""
        known = self._picture.get(self.link.name, id)
        return (known, known.reads) if known is not None else None

    async def _read(self, id: str, view: ResourceView) -> Resource | None:
        try:
            return await self.link.read(lambda: self.link.driver.get_resource(id, view))
        except ResourceNotFoundError:
            return None

    def _take(self, id: str, fresh: Resource | None, detail: Resource | None, hint: _Hint) -> None:
        name = self.link.name
        known: Known | None = None
        maker = next((m for m in self._makers if fresh is not None and m.name == fresh.name), None)
        if maker is not None and hint.actor is None:
            hint.actor = maker.actor
        if fresh is None:
            self._picture.remove(name, id, actor=hint.actor)
        else:
            known = self._picture.put(
                name,
                self.link.host,
                fresh,
                event=hint.event,
                detail=detail,
                actor=hint.actor,
            )
        for waiter in hint.waiters:
            if not waiter.done():
                waiter.set_result(known)

    def _failed(self, hint: _Hint, error: Exception) -> None:
        """Tell those who wait; look again later, unless a comparison of all will."""
        if not isinstance(error, ProaError):
            _log.error("look failed", engine=self.link.name, exc_info=error)
        for waiter in hint.waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # whoever waited may have gone
        if isinstance(error, EngineUnreachableError | EngineTimedOutError) and self.link.lost:
            return
        event = hint.event
        asyncio.get_running_loop().call_later(_LOOK_AGAIN, lambda: self._hint(event))

    async def _release(self, id: str, hint: _Hint) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_AT_MOST):
                while (over := self._held.get(id)) is not None and not over.is_set():
                    await over.wait()
        known = self._picture.get(self.link.name, id)
        if known is None or (hint.event.removed and known.activity is None):
            for maker in list(self._makers):
                if not maker.name:
                    await maker.over.wait()
