"""Which containers remove themselves: Docker's list does not tell, an inspect does."""

import asyncio
from collections.abc import Iterable, Mapping
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
_WITHIN = timedelta(seconds=1)


class Lifetimes:
    """Asks once for each container: it is so for as long as there is one.

    Args:
        engine: where to ask.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._known: dict[str, Lifetime] = {}
        self._hung: set[str] = set()
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """End the questions under way."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def of(self, id: str) -> Lifetime:
        """Give what is known of a container; PERSISTENT where nothing is."""
        return self._known.get(id, Lifetime.PERSISTENT)

    def note(self, resource: Resource) -> None:
        """Take what an inspect told."""
        self._known[resource.id] = resource.lifetime
        self._hung.discard(resource.id)

    def forget(self, id: str) -> None:
        """Drop what is known of a container that is gone."""
        self._known.pop(id, None)
        self._hung.discard(id)

    @property
    def ids(self) -> set[str]:
        """The containers of which something is known."""
        return self._known.keys() | self._hung

    async def learn(self, listed: Iterable[Json], *, anew: bool = False) -> None:
        """Ask for those, of what the engine has listed, that may be gone when they stop.

        One that hung is asked for again only `anew`: each look at it would take as long.
        """
        settled = self._known.keys() if anew else self.ids
        asking = [
            self._asking.get(item["Id"]) or self._begin(item["Id"])
            for item in listed
            if item["State"] in _MAY_GO and item["Id"] not in settled
        ]
        if asking:
            await asyncio.wait(asking)

    def _begin(self, id: str) -> asyncio.Task[None]:
        # Whoever asks next waits for the same answer, also when the first one has gone.
        task = self._asking[id] = asyncio.create_task(self._ask(id))
        task.add_done_callback(lambda _: self._asking.pop(id))
        return task

    async def _ask(self, id: str) -> None:
        try:
            async with self._slots:
                answer = await self._engine.get(f"/containers/{id}/json", timeout=_WITHIN)
        except EngineTimedOutError:
            self._hung.add(id)
        except ProaError:
            pass  # the engine is away
        else:
            if answer.ok:
                self.note(full(answer.json()))
