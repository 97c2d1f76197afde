"""Events of the driver's own acts: who asked for one knows already what its event would say."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Seconds that an event may come after the answer to the call that it is about.
LATE = 1.0

Tell = Callable[[], None]


@dataclass(eq=False, slots=True)
class Expected:
    """An act of ours. Set `done` once the engine has said that it is done."""

    id: str
    action: str
    done: bool = False
    over: bool = False
    until: float = math.inf
    kept: Tell | None = None


class OwnEvents:
    """Picks one event out of the engine's stream for each act of ours that it has done.

    The engine tells what happens to a resource in order, and nothing is done to it twice
    without its opposite in between. Hence the next event of it, if it is of the kind that
    we expect, is about our act, or about the same act of somebody else because of which
    ours fails. If it is of another kind, more has happened than we know: nothing is
    expected any more. In doubt, an event is news.

    For use on the event loop and on the driver's threads.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected: list[Expected] = []

    @contextmanager
    def expected(self, id: str, action: str) -> Iterator[Expected]:
        """Keep the event of an act back from when it begins until the block ends.

        If the act is `done` by the end of the block, its event is dropped, also one that
        comes a moment later. Otherwise it was about something else, and is told.
        """
        act = Expected(id, action)
        try:
            yield act
        finally:
            tell = self._end(act)
            if tell is not None:
                tell()

    def begin(self, act: Expected) -> None:
        """Say that an act is about to begin: what came while it had to wait is not its own."""
        with self._lock:
            self._drop_late()
            if not act.over:
                self._expected.append(act)

    def takes(self, id: str, action: str, tell: Tell) -> bool:
        """Say whether an event is taken from the stream; `tell` is for one that proves news."""
        with self._lock:
            self._drop_late()
            acts = [act for act in self._expected if act.id == id]
            act = next((act for act in acts if act.kept is None), None)
            if act is not None and act.action == action:
                if act.until < math.inf:  # the answer has come before it
                    self._expected.remove(act)
                else:
                    act.kept = tell
                return True
            void = self._without(acts)
        for news in void:
            news()
        return False

    def void(self) -> None:
        """Expect nothing any more: events may be missing from the stream."""
        with self._lock:
            void = self._without(list(self._expected))
        for news in void:
            news()

    def _end(self, act: Expected) -> Tell | None:
        """Expect its event for a moment more, or not at all; give what is to be told now."""
        with self._lock:
            act.over = True
            if act not in self._expected:
                return None
            if act.done and act.kept is None:
                act.until = self._clock() + LATE
                return None
            self._expected.remove(act)
            return None if act.done else act.kept

    def _without(self, acts: list[Expected]) -> list[Tell]:
        self._expected = [act for act in self._expected if act not in acts]
        return [act.kept for act in acts if act.kept is not None]

    def _drop_late(self) -> None:
        now = self._clock()
        self._expected = [act for act in self._expected if act.until >= now]
