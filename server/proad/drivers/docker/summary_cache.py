"""The last SUMMARY of each container, so that a pause need not read what it does not change."""

import asyncio
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from proad.model import Resource, ResourceState, StateDetail, StateReason

_REASONS = {ResourceState.PAUSED: StateReason.USER, ResourceState.RUNNING: None}


class SummaryCache:
    """Keeps SUMMARYs until the next event about their container.

    Nothing is kept while no subscription is open, since changes would not be noticed, and
    nothing that was read across an event, since it may be older than the event. Events of
    pauses do not count: whoever takes a SUMMARY from here knows the state from the engine.

    Use on the event loop only.
    """

    def __init__(self) -> None:
        self._summaries: dict[str, Resource] = {}
        self._subscriptions = 0
        self._events = 0
        self._transitions: dict[str, float] = {}

    @property
    def clock(self) -> int:
        """The number of events so far. Read it before what is to be put in is read."""
        return self._events

    def put(self, summaries: Iterable[Resource], clock: int) -> None:
        """Keep what was read since `clock`, unless there was an event in between."""
        if self._subscriptions and clock == self._events:
            self._summaries.update((summary.id, summary) for summary in summaries)

    def forget(self, id: str) -> None:
        """Forget a container because of an event."""
        self._events += 1
        self._summaries.pop(id, None)
        self._transitions.pop(id, None)

    def begin_transition(self, id: str) -> None:
        """Note that this driver pauses or resumes a container."""
        if self._subscriptions:
            self._transitions[id] = asyncio.get_running_loop().time()

    def since_transition(self, id: str) -> float:
        """Return the seconds since this driver last paused or resumed a container."""
        return asyncio.get_running_loop().time() - self._transitions.get(id, -math.inf)

    def after(self, id: str, state: ResourceState) -> Resource | None:
        """Return the SUMMARY of a container that the engine has just paused or resumed."""
        last = self._summaries.get(id)
        if last is None or last.state not in _REASONS:
            return None
        return replace(last, state=state, state_detail=StateDetail(reason=_REASONS[state]))

    @contextmanager
    def subscribed(self) -> Iterator[None]:
        """Keep SUMMARYs while the block lasts."""
        self._subscriptions += 1
        try:
            yield
        finally:
            self._subscriptions -= 1
            self._events += 1
            self._summaries.clear()
            self._transitions.clear()
