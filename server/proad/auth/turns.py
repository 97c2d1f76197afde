"""Turns at work that is slow and that everybody may ask for: comparing passwords."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from proad.errors import TooManyLoginsError

T = TypeVar("T")

# Lines whose last turn is remembered; one that is forgotten is taken for new.
_MOST_LINES = 4096


@dataclass(eq=False, slots=True)
class _Waiting:
    """Somebody who waits for a turn."""

    user: str
    place: str
    turn: asyncio.Future[None] = field(default_factory=asyncio.Future)


class Turns:
    """Does a few things at a time, and lets the others wait in a fair order.

    The least rank is first. Within a rank it is the user at a place, and then the place,
    that has had no turn for longest: thirty logins of one hold another's up by one. That
    nobody is kept waiting for ever, one turn in four is of those whose rank is not zero, and
    one of whoever has waited longest. When too many wait, the one whose turn would be the
    last is refused.

    Args:
        at_once: how many things are done at a time.
        rank: of a user at a place, asked anew for each turn.
        most_waiting: how many may wait.
    """

    def __init__(
        self, *, at_once: int, rank: Callable[[str, str], int], most_waiting: int = 128
    ) -> None:
        self._free = at_once
        self._rank = rank
        self._most_waiting = most_waiting
        self._given = 0
        self._last = OrderedDict[tuple[str, ...], int]()  # by line, the number of its last turn
        self._waiting: list[_Waiting] = []  # in the order in which they came
        self._working: set[asyncio.Task[Any]] = set()

    async def run(self, user: str, place: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do the work when its turn comes.

        What has begun goes to its end, also when its caller is gone: what it found counts,
        and the next turn comes when there really is room.

        Raises:
            TooManyLoginsError: too many wait.
        """
        await self._turn(user, place)
        task = asyncio.create_task(work())
        self._working.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait for the work whose callers are gone."""
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _turn(self, user: str, place: str) -> None:
        if self._free:
            self._free -= 1
            self._note(user, place)
            return
        mine = _Waiting(user, place)
        self._waiting.append(mine)
        if len(self._waiting) > self._most_waiting:
            last = self._in_order()[-1]
            self._waiting.remove(last)
            if not last.turn.done():  # its caller may just have gone
                last.turn.set_exception(TooManyLoginsError())
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.turn.cancelled() and mine.turn.exception() is None:
                self._next()  # it had come at the moment when the caller went
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._working.discard(task)
        self._next()

    def _next(self) -> None:
        """Give the turn that has become free to the next."""
        ready = [waiting for waiting in self._in_order() if not waiting.turn.done()]
        if not ready:
            self._free += 1
            return
        chosen = ready[0]
        match self._given % 4:
            case 2:
                later = (one for one in ready if self._rank(one.user, one.place))
                chosen = next(later, chosen)
            case 0:
                chosen = next(one for one in self._waiting if not one.turn.done())
        self._waiting.remove(chosen)
        self._note(chosen.user, chosen.place)
        chosen.turn.set_result(None)

    def _note(self, user: str, place: str) -> None:
        """Note that it is their turn."""
        self._given += 1
        for line in ((user, place), (place,)):
            self._last[line] = self._given
            self._last.move_to_end(line)
        while len(self._last) > _MOST_LINES:
            self._last.popitem(last=False)

    def _in_order(self) -> list[_Waiting]:
        """Return those who wait, as their turns would come if nobody else did."""
        ahead: Counter[tuple[str, ...]] = Counter()  # by line
        keys = {}
        for waiting in self._waiting:
            lines = ((waiting.user, waiting.place), (waiting.place,))
            positions = [(ahead[line], self._last.get(line, 0)) for line in lines]
            keys[waiting] = (self._rank(waiting.user, waiting.place), *positions)
            ahead.update(lines)
        return sorted(self._waiting, key=keys.__getitem__)
