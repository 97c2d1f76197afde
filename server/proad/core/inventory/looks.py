"""Looking at single resources again: when something hints at them, or somebody asks."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import structlog

from proad.core.actor import current_actor
from proad.core.inventory.deeds import Deed
from proad.core.inventory.full_reads import FullReads
from proad.core.inventory.holds import Holds
from proad.core.inventory.picture import Known, Picture
from proad.core.link import Link
from proad.core.ports import OnMade
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import ACTIVE, EngineEvent, Resource, ResourceKind, ResourceView

_log = structlog.get_logger(__name__)

LOOKS = 4
"""Looks at an engine at a time: verbs must find a thread too."""
_LOOK_AGAIN = 1.0

_Waiter = asyncio.Future[Known | None]


@dataclass(slots=True)
class _Hint:
    """That something happened to a resource, and who waits for a look at it.

    Attributes:
        event: what happened.
        waiters: who waits; True: for a look at the FULL view as well.
        wanted: somebody waits.
    """

    event: EngineEvent
    waiters: dict[_Waiter, bool] = field(default_factory=dict)
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def wait(self, waiters: dict[_Waiter, bool]) -> None:
        """Have more wait."""
        self.waiters |= waiters
        if waiters:
            self.wanted.set()


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
        self._full_reads = FullReads(link)
        self._hints: dict[str, _Hint] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._touched: set[str] | None = None
        self._holds = Holds()

    async def close(self) -> None:
        """End the looks under way."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._full_reads.close()

    def hint(self, event: EngineEvent) -> None:
        """Look at a resource again, soon."""
        known = self._picture.get(self.link.name, event.id)
        if known is not None:
            known.drop_detail()
            known.unsettled |= event.reconfigured
        self._hint(event)

    async def look(self, id: str, *, reconfigured: bool = False) -> Known | None:
        """Look at a resource now; None: there is none.

        Args:
            id: its full id.
            reconfigured: it may differ in what a SUMMARY does not show. If somebody was
                shown its FULL view, that is read and compared as well, and a difference
                is a change.

        Raises:
            EngineUnreachableError: the engine does not answer.
            EngineTimedOutError: the FULL view could not be read soon enough.
        """
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        hint = self._hint(EngineEvent(id=id))
        hint.wait({waiter: reconfigured})
        return await self.link.read(lambda: waiter)

    async def read(self, id: str) -> Resource | None:
        """Read a SUMMARY, without taking it; None: there is no such resource."""
        driver = self.link.driver
        try:
            return await self.link.read(lambda: driver.get_resource(id, ResourceView.SUMMARY))
        except ResourceNotFoundError:
            return None

    def settled(self, id: str) -> bool:
        """Tell whether all is known that the engine has hinted at."""
        return id not in self._looking

    async def settle(self, ids: Iterable[str], within: float) -> None:
        """Wait for the looks at these, so many seconds at most."""
        looking = [self._looking[id] for id in ids if id in self._looking]
        if looking:
            await asyncio.wait(looking, timeout=within)

    def under_way(self, id: str) -> bool:
        """Tell whether a look, or a verb, is about to say more of a resource."""
        return id in self._looking or self._holds.under_way(id)

    @contextmanager
    def noting_touched(self) -> Iterator[set[str]]:
        """Note what something happens to: a list that is on its way may be older."""
        touched = self._touched = set()
        try:
            yield touched
        finally:
            self._touched = None

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

    def holding(self, id: str) -> AbstractContextManager[None]:
        """Put off looks at a resource for a moment: see `Holds.holding`."""
        return self._holds.holding(id)

    def pruning(self) -> AbstractContextManager[None]:
        """Put off looks at what is gone for a moment: see `Holds.pruning`."""
        return self._holds.pruning()

    @contextmanager
    def making(self) -> Iterator[OnMade]:
        """Know whose doing it is what becomes of what a call makes.

        Gives whom to tell its id. Looks at what is new are put off for a moment until then.
        """
        engine, deed = self.link.name, Deed(None, current_actor())
        ids: set[str] = set()
        over = False
        failure: BaseException | None = None
        with self._holds.creating() as said:

            def on_made(id: str) -> None:
                if not over and id not in ids:  # a thread may be later than its call
                    ids.add(id)
                    self._picture.begin_making(engine, id, deed)
                    said()

            try:
                yield on_made
            except BaseException as error:
                failure = error
                raise
            finally:
                over = True
                for id in ids:
                    self._picture.end_making(engine, id, deed, failure)

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
            await self._release(id, hint)
            async with self._slots:
                del self._hints[id]
                place = self._place(id)
                try:
                    fresh = await self.read(id)
                except Exception as error:  # noqa: BLE001 - who waits must hear of a fault too
                    self._failed(hint, error)
                    continue
            detail: Resource | None = None
            unread: Exception | None = None
            if fresh is not None and self._compares_in_full(id, hint):
                try:
                    detail = await self._full_reads.read(id)
                except Exception as error:  # noqa: BLE001 - the SUMMARY is true all the same
                    unread = error
                    self._log_fault(id, error)
            if self._holds.waits(id) and not hint.waiters:
                # A verb began meanwhile: what was read may be of before or after it.
                self._hint(hint.event)
                continue
            if self._place(id) != place:
                # One ended meanwhile: what it told may be later than what was read.
                again = self._hint(hint.event)
                again.wait(hint.waiters)
                continue
            self._take(id, fresh, detail, hint)
            self._answer(hint, self._picture.get(self.link.name, id), unread)

    def _place(self, id: str) -> tuple[Known, int] | None:
        """Tell which reading of a resource is the last one."""
        known = self._picture.get(self.link.name, id)
        return (known, known.reads) if known is not None else None

    def _compares_in_full(self, id: str, hint: _Hint) -> bool:
        """Tell whether what somebody was shown of a FULL view may no longer be so.

        An event alone does not say: it may tell of what we did and know already.
        """
        known = self._picture.get(self.link.name, id)
        if known is None or known.last_detail is None:
            return False
        return hint.event.reconfigured or any(hint.waiters.values())

    def _take(self, id: str, fresh: Resource | None, detail: Resource | None, hint: _Hint) -> None:
        self._touch(id)
        name = self.link.name
        if fresh is None:
            self._picture.remove(name, id, actor=self._pruned_by(id))
            return
        event = hint.event
        if detail is not None:
            event |= EngineEvent(id=id, reconfigured=True)
        known = self._picture.put(name, self.link.host, fresh, event=event, detail=detail)
        if (later := self._hints.get(id)) is not None:
            known.unsettled |= later.event.reconfigured

    def _pruned_by(self, id: str) -> str | None:
        """Tell whose prune it may be that removed a resource: one that takes long."""
        known = self._picture.get(self.link.name, id)
        if known is None or known.activity is not None or known.seen.state in ACTIVE:
            return None
        return self._holds.pruner if known.seen.kind is ResourceKind.CONTAINER else None

    def _answer(self, hint: _Hint, known: Known | None, unread: Exception | None) -> None:
        for waiter, in_full in hint.waiters.items():
            if waiter.done():
                continue
            if in_full and unread is not None:
                waiter.set_exception(unread)
                waiter.exception()  # whoever waited may have gone
            else:
                waiter.set_result(known)

    def _log_fault(self, id: str, error: Exception) -> None:
        """Tell the log, once of each resource: it is looked at again and again."""
        known = self._picture.get(self.link.name, id)
        if isinstance(error, ProaError) or (known is not None and known.fault_told):
            return
        if known is not None:
            known.fault_told = True
        _log.error("look failed", engine=self.link.name, resource=id, exc_info=error)

    def _failed(self, hint: _Hint, error: Exception) -> None:
        """Tell those who wait; look again later, unless a comparison of all will."""
        self._log_fault(hint.event.id, error)
        for waiter in hint.waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # whoever waited may have gone
        if isinstance(error, EngineUnreachableError | EngineTimedOutError) and self.link.lost:
            return
        event = hint.event
        asyncio.get_running_loop().call_later(_LOOK_AGAIN, lambda: self._hint(event))

    async def _release(self, id: str, hint: _Hint) -> None:
        """Wait for who is about to say the same, unless somebody waits for the look itself."""
        if hint.wanted.is_set() or not self._holds.any:
            return
        said = asyncio.ensure_future(self._said(id, hint.event))
        wanted = asyncio.ensure_future(hint.wanted.wait())
        try:
            await asyncio.wait({said, wanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            said.cancel()
            wanted.cancel()

    async def _said(self, id: str, event: EngineEvent) -> None:
        """Wait, not for long, for what a verb or a call under way has to say of a resource."""
        await self._holds.verb_over(id)
        known = self._picture.get(self.link.name, id)
        if known is None:
            await self._holds.creates_over()
        elif event.removed and known.activity is None:
            await self._holds.prunes_over()
