"""Where the rest of the core begins: the picture, who keeps it true, and FULL views."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from proad.core.actor import current_actor
from proad.core.inventory.journal import Journal
from proad.core.inventory.looks import Looks
from proad.core.inventory.mirror import READY_WITHIN, Mirror
from proad.core.inventory.picture import Known, Picture
from proad.core.link import Link
from proad.core.ports import OnStep
from proad.errors import EngineUnreachableError, ProaError, ResourceNotFoundError
from proad.model import Activity, Domain, Resource, ResourceView, Verb

_TRIES = 3

_log = structlog.get_logger(__name__)


class Inventory:
    """The live picture of all resources of all engines.

    Args:
        links: the engines.
        journal: where changes go; a new one by default.
    """

    def __init__(self, links: Iterable[Link], journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.picture = Picture(self.journal)
        links = tuple(links)
        self._looks = {link.name: Looks(link, self.picture) for link in links}
        self._mirrors = {
            link.name: Mirror(link, self.picture, self._looks[link.name]) for link in links
        }
        self._details: dict[str, asyncio.Task[Resource]] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the engines; what those that answer have is known when this is entered."""
        mirrors = self._mirrors.values()
        tasks = [asyncio.create_task(mirror.follow()) for mirror in mirrors]
        try:
            await asyncio.gather(*(_settled(mirror) for mirror in mirrors))
            yield
        finally:
            for task in [*tasks, *self._details.values()]:
                task.cancel()
            await asyncio.gather(*tasks, *self._details.values(), return_exceptions=True)
            for looks in self._looks.values():
                await looks.close()

    async def lost(self, links: Sequence[Link]) -> Mapping[str, EngineUnreachableError]:
        """Wait until the picture of these engines is true, and give those that do not answer.

        Returns:
            The errors that say so, by the engines' names.
        """
        answers = await asyncio.gather(
            *(self.mirror(link).ready() for link in links), return_exceptions=True
        )
        lost: dict[str, EngineUnreachableError] = {}
        for link, answer in zip(links, answers, strict=True):
            if isinstance(answer, EngineUnreachableError):
                lost[link.name] = answer
            elif answer is not None:
                raise answer
        return lost

    def mirror(self, link: Link) -> Mirror:
        """Give what follows an engine."""
        return self._mirrors[link.name]

    def looks(self, link: Link) -> Looks:
        """Give what looks at an engine's resources."""
        return self._looks[link.name]

    def known(self, link: Link, id: str) -> Known | None:
        """Give what is known of a resource."""
        return self.picture.get(link.name, id)

    def all(self, link: Link) -> Iterator[Resource]:
        """Give the SUMMARYs of an engine's resources."""
        return (known.shown for known in self.picture.of(link.name))

    async def full(self, link: Link, id: str) -> Resource:
        """Give the FULL view of a resource, from the engine where it is not known yet.

        A fault of the driver with it, as opposed to an error of its, leaves the SUMMARY.

        Raises:
            ResourceNotFoundError: it is gone.
        """
        for _attempt in range(_TRIES):
            known = self.known(link, id)
            if known is None:
                raise ResourceNotFoundError(id)
            if not self._is_fresh(link, known):
                try:
                    await self._fetch(link, known)
                except ResourceNotFoundError:
                    pass  # looked at again below
                except ProaError:
                    raise
                except Exception:  # noqa: BLE001 - whatever it is, one resource spoils no list
                    if not known.fault_told:
                        known.fault_told = True
                        _log.exception("full view failed", engine=link.name, resource=id)
                    return known.shown
            full = known.in_full()
            if full is not None and _agree(full, known.shown):
                return full
            # Something happened since the last event, or while we asked.
            await self.looks(link).look(id)
        known = self.known(link, id)
        if known is None:
            raise ResourceNotFoundError(id)
        # It changes faster than it can be read: the last word, which was true a moment ago.
        detail = await link.read(lambda: link.driver.get_resource(id, ResourceView.FULL))
        return self.complete(link, detail)

    def complete(self, link: Link, detail: Resource) -> Resource:
        """Complete what a driver gave of a resource, with what only the inventory knows."""
        known = self.known(link, detail.id)
        return replace(detail, host=link.host) if known is None else known.completed(detail)

    @contextmanager
    def activity(self, known: Known, verb: Verb) -> Iterator[OnStep]:
        """Show on a resource that a verb is under way, and let it tell its steps."""
        begun = Activity(verb=verb, start_time=datetime.now(UTC), actor=current_actor())

        def on_step(step: str, percent: int | None = None) -> None:
            if known.activity is not None:
                self.picture.set_activity(known, replace(begun, step=step, percent=percent))

        self.picture.set_activity(known, begun)
        try:
            yield on_step
        except BaseException as failure:
            self.picture.set_activity(known, None, failure=failure)
            raise
        self.picture.set_activity(known, None)

    def _is_fresh(self, link: Link, known: Known) -> bool:
        if known.detail is None:
            return False
        age = link.driver.full_view_age
        now = asyncio.get_running_loop().time()
        return age is None or now - known.detail_time < age.total_seconds()

    async def _fetch(self, link: Link, known: Known) -> None:
        """Ask the engine for a FULL view; those who ask at the same time ask together."""
        task = self._details.get(known.key)
        if task is None:
            task = asyncio.create_task(self._read_detail(link, known))
            self._details[known.key] = task
            task.add_done_callback(lambda done: self._forget(known.key, done))
        await link.read(lambda: asyncio.shield(task))

    async def _read_detail(self, link: Link, known: Known) -> Resource:
        epoch, id = known.epoch, known.seen.id
        detail = await link.driver.get_resource(id, ResourceView.FULL)
        self.picture.keep_detail(known, detail, epoch, asyncio.get_running_loop().time())
        return detail

    def _forget(self, key: str, done: "asyncio.Task[Resource]") -> None:
        del self._details[key]
        if not done.cancelled():
            done.exception()  # whoever asked may have gone


async def _settled(mirror: Mirror) -> None:
    """Wait until an engine that answers has been read, or for as long as a read would."""
    if mirror.link.lost:
        return
    try:
        async with asyncio.timeout(READY_WITHIN):
            await mirror.ready()
    except (TimeoutError, EngineUnreachableError):
        return  # the daemon serves without it, and says so


def _agree(full: Resource, summary: Resource) -> bool:
    """Tell whether what both views show, and what changes without an event, is the same."""
    return full.state is summary.state and _size(full.domain) == _size(summary.domain)


def _size(domain: Domain | None) -> tuple[object, ...]:
    if domain is None:
        return ()
    return domain.memory_bytes, domain.max_memory_bytes, domain.vcpus, domain.autostart
