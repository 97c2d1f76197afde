"""Which containers remove themselves: Docker's list does not tell, an inspect does."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from proad.drivers.docker.engine import Engine
from proad.drivers.docker.full_view import full
from proad.errors import EngineTimedOutError, ProaError
from proad.model import Lifetime, Resource

Json = Mapping[str, Any]

# Those that remove themselves do so once they have ended.
_MAY_GO = frozenset({"created", "running", "paused"})
# Inspects at a time, and how long each may take: a container may hang.
_AT_A_TIME = 4
_ANSWER = timedelta(seconds=1)
# Seconds that a look at one, and at all, waits for answers.
_LOOK = 0.05
_LIST = 1.0


class Lifetimes:
    """Asks once for each container: it is so for as long as there is one.

    Nobody waits long for an answer: until it comes, a container is taken for PERSISTENT.

    Args:
        engine: where to ask.

    Attributes:
        listeners: told the id of a container that is not what it was taken for.
    """

    def __init__(self, engine: Engine) -> None:
        self.listeners: set[Callable[[str], None]] = set()
        self._engine = engine
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._known: dict[str, Lifetime] = {}
        self._guessed: set[str] = set()
        self._hung: set[str] = set()
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """End the questions under way."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def of(self, id: str) -> Lifetime:
        """Give what a container is taken for."""
        if id not in self._known:
            self._guessed.add(id)
        return self._known.get(id, Lifetime.PERSISTENT)

    def note(self, resource: Resource) -> None:
        """Take what an inspect told."""
        id, guessed = resource.id, resource.id in self._guessed
        self.forget(id)
        self._known[id] = resource.lifetime
        if guessed and resource.lifetime is Lifetime.TRANSIENT:
            for tell in self.listeners:
                tell(id)

    def forget(self, id: str) -> None:
        """Drop what is known of a container that is gone."""
        self._known.pop(id, None)
        self._guessed.discard(id)
        self._hung.discard(id)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop what is known of all others."""
        for id in (self._known.keys() | self._guessed | self._hung).difference(ids):
            self.forget(id)

    async def learn(self, listed: Iterable[Json], *, all_there_are: bool = False) -> None:
        """Ask for those, of what the engine has listed, that may be gone when they stop.

        One that hung is asked for again with the next list of all, not with each look at it.
        """
        asking = [
            self._asking.get(item["Id"]) or self._begin(item["Id"])
            for item in listed
            if item["State"] in _MAY_GO
            and item["Id"] not in self._known
            and (all_there_are or item["Id"] not in self._hung)
        ]
        if asking:
            await asyncio.wait(asking, timeout=_LIST if all_there_are else _LOOK)

    def _begin(self, id: str) -> asyncio.Task[None]:
        # Whoever asks next waits for the same answer, also when the first one has gone.
        task = self._asking[id] = asyncio.create_task(self._ask(id))
        task.add_done_callback(lambda _: self._asking.pop(id))
        return task

    async def _ask(self, id: str) -> None:
        try:
            async with self._slots:
                answer = await self._engine.get(f"/containers/{id}/json", timeout=_ANSWER)
            if answer.ok:
                self.note(full(answer.json()))
        except EngineTimedOutError:
            self._hung.add(id)
        except ProaError:
            pass  # the engine is away
