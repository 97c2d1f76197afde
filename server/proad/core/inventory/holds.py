"""What calls under way are about to say themselves, so that looks need not be first."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from proad.core.actor import current_actor

HOLD = 0.1
"""Seconds that a look waits for a verb on the same resource, whose result says as much."""
HOLD_AFTER = 0.03
"""Seconds that it waits for another one after that."""
HOLD_AT_MOST = 1.0
"""Seconds that a look waits at most, such as one at what nobody knows yet for a create that
is under way."""


@dataclass(eq=False, slots=True)
class _Maker:
    """A call that makes a resource of this name, or, without one, any number of changes.

    Attributes:
        name: of what is made.
        actor: whose call it is.
        made: the id of what came under that name.
        over: it has said what it did, or had its time to.
    """

    name: str
    actor: str
    made: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Holds:
    """The verbs, creates and prunes that are under way on one engine."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}
        self._makers: set[_Maker] = set()

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

    @property
    def any(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self._held or self._makers)

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

    async def makers_over(self) -> None:
        """Wait, not for long, until the calls without a name have said what they did."""
        for maker in list(self._makers):
            if not maker.name:
                await maker.over.wait()

    def made_by(self, id: str, name: str, *, new: bool) -> str | None:
        """Tell whose create under way it is that a resource came from, if it is one's.

        Args:
            id: the resource.
            name: of it.
            new: nothing was known of it before; what was there already nobody makes.
        """
        for maker in self._makers:
            if new and maker.name == name:
                maker.made = id
            if maker.made == id:
                return maker.actor
        return None
