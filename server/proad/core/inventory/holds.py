"""What calls under way are about to say themselves, so that looks need not be first."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from proad.core.actor import current_actor

HOLD = 0.1
"""Seconds that a look waits for a verb on the same resource, whose result says as much."""
HOLD_AFTER = 0.03
"""Seconds that it waits for another one after that."""
HOLD_NEW = 0.1
"""Seconds that a look at what nobody knows waits for a create to say which is its own: the
engine tells of it just before it answers."""
HOLD_AT_MOST = 1.0
"""Seconds that a look waits at most."""


class Holds:
    """The verbs, creates and prunes that are under way on one engine."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}
        self._creates: set[asyncio.Event] = set()
        self._prunes: dict[asyncio.Event, str] = {}

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
    def creating(self) -> Iterator[Callable[[], None]]:
        """Put off looks at what is new: a create is about to say which is its own.

        Gives what is to be called when it has said so.
        """
        said = asyncio.Event()
        self._creates.add(said)
        try:
            yield said.set
        finally:
            said.set()
            self._creates.discard(said)

    @contextmanager
    def pruning(self) -> Iterator[None]:
        """Put off looks at what is gone: a prune is about to say what it removed."""
        said = asyncio.Event()
        self._prunes[said] = current_actor()
        try:
            yield
        finally:
            said.set()
            del self._prunes[said]

    @property
    def any(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self._held or self._creates or self._prunes)

    @property
    def pruner(self) -> str | None:
        """Whose prune is under way, if one is."""
        return next(iter(self._prunes.values()), None)

    def under_way(self, id: str) -> bool:
        """Tell whether there is a verb on a resource, or was a moment ago."""
        return id in self._held

    def waits(self, id: str) -> bool:
        """Tell whether looks at a resource are put off now."""
        return id in self._held and not self._held[id].is_set()

    async def verb_over(self, id: str) -> None:
        """Wait, not for long, until the verbs on a resource have said what they did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_AT_MOST):
                while (over := self._held.get(id)) is not None and not over.is_set():
                    await over.wait()

    async def creates_over(self) -> None:
        """Wait, not for long, until the creates have said which id is theirs."""
        await _all_set(self._creates, HOLD_NEW)

    async def prunes_over(self) -> None:
        """Wait, not for long, until the prunes have said what they removed."""
        await _all_set(self._prunes, HOLD_AT_MOST)


async def _all_set(events: Iterable[asyncio.Event], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for event in list(events):
                await event.wait()
