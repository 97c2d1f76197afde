"""How containers were made: what of that an inspect tells and Docker's list does not.

That is whether they remove themselves, and what their image was called: once that name means
another image, Docker lists the id in its place, and no event tells of that.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from proad.drivers.docker.api import Answer
from proad.drivers.docker.engine import Engine
from proad.drivers.docker.full_view import full
from proad.errors import EngineTimedOutError, ProaError
from proad.model import Lifetime, Resource, ResourceState, StateReason

# Inspects at a time, and how long each may take: a container may hang.
_AT_A_TIME = 4
_ANSWER = timedelta(seconds=1)
# Seconds that a look at one, and at all, waits for answers.
_LOOK = 0.05
_LIST = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """How a container was made, which stays so for as long as there is one.

    Attributes:
        image: what its image was called then.
        lifetime: whether it removes itself.
    """

    image: str
    lifetime: Lifetime


class Origins:
    """Asks once for each container of which a list tells too little.

    Nobody waits long for an answer: until it comes, a container is taken for PERSISTENT, and
    for made from what the list names.

    Args:
        engine: where to ask.

    Attributes:
        listeners: told the id of a container that is not what it was taken for.
    """

    def __init__(self, engine: Engine) -> None:
        self.listeners: set[Callable[[str], None]] = set()
        self._engine = engine
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._known: dict[str, Origin] = {}
        self._guessed: dict[str, Origin] = {}
        self._hung: set[str] = set()
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """End the questions under way."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def complete(self, listed: Resource) -> Resource:
        """Return what a list tells of a container with what it was made as, or is taken for."""
        origin = self._known.get(listed.id) or self._guess(listed)
        container = listed.container
        if container is not None and container.image != origin.image:
            listed = replace(listed, container=replace(container, image=origin.image))
        if listed.lifetime is not origin.lifetime:
            listed = replace(listed, lifetime=origin.lifetime)
        return listed

    def _guess(self, listed: Resource) -> Origin:
        image = listed.container.image if listed.container is not None else ""
        if _bare(listed) and (before := self._guessed.get(listed.id)):
            image = before.image
        guess = self._guessed[listed.id] = Origin(image, Lifetime.PERSISTENT)
        return guess

    def note(self, resource: Resource) -> None:
        """Take what an inspect told."""
        id, guess = resource.id, self._guessed.get(resource.id)
        image = resource.container.image if resource.container is not None else ""
        origin = Origin(image, resource.lifetime)
        self.forget(id)
        self._known[id] = origin
        if guess not in {None, origin}:
            for tell in self.listeners:
                tell(id)

    def forget(self, id: str) -> None:
        """Drop what is known of a container that is gone."""
        self._known.pop(id, None)
        self._guessed.pop(id, None)
        self._hung.discard(id)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop what is known of all others."""
        for id in (self._known.keys() | self._guessed.keys() | self._hung).difference(ids):
            self.forget(id)

    async def learn(self, listed: Iterable[Resource], *, all_there_are: bool = False) -> None:
        """Ask for those, of what the engine has listed, that may be gone when they stop, and
        for those whose image nobody has named yet.

        One that hung is asked for again with the next list of all, not with each look at it.
        """
        asking = [
            self._asking.get(each.id) or self._begin(each.id)
            for each in listed
            if each.id not in self._known
            and (_may_go(each) or self._is_nameless(each))
            and (all_there_are or each.id not in self._hung)
        ]
        if asking:
            await asyncio.wait(asking, timeout=_LIST if all_there_are else _LOOK)

    def _is_nameless(self, listed: Resource) -> bool:
        guess = self._guessed.get(listed.id)
        named = guess is not None and listed.container and guess.image != listed.container.image_id
        return _bare(listed) and not named

    def _begin(self, id: str) -> asyncio.Task[None]:
        # Whoever asks next waits for the same answer, also when the first one has gone.
        task = self._asking[id] = asyncio.create_task(self._ask(id))
        task.add_done_callback(lambda _: self._asking.pop(id))
        return task

    async def _ask(self, id: str) -> None:
        def read(answer: Answer) -> Resource | None:
            return full(answer.value(id), id) if answer.ok else None

        try:
            async with self._slots:
                seen = await self._engine.read(f"/containers/{id}/json", read, timeout=_ANSWER)
            if seen is not None:
                self.note(seen)
        except EngineTimedOutError:
            self._hung.add(id)
        except ProaError:
            pass  # the engine is away


def _may_go(listed: Resource) -> bool:
    """Tell whether it may yet remove itself: those that do so do it once they have ended."""
    active = listed.state in {ResourceState.RUNNING, ResourceState.PAUSED}
    return active or listed.state_detail.reason is StateReason.NEVER_STARTED


def _bare(listed: Resource) -> bool:
    """Tell whether a list has no name for the image."""
    container = listed.container
    return container is not None and container.image == container.image_id
