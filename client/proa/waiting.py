"""Waiting until a resource is in some state, or gone."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from grpc import StatusCode

from proa import v1
from proa.errors import Cancelled, DeadlineExceeded, Details, Error, NotFound, WaitTimedOut
from proa.events import Change, Event, Gap, Synced
from proa.watching import Watch

_NOT_FOUND = "RESOURCE_NOT_FOUND"


@dataclass(frozen=True)
class Goal:
    """The condition to wait for.

    Attributes:
        id: id of the resource.
        states: the states that satisfy it.
        removed: whether a removal satisfies it.
        timeout: maximum time to wait, in seconds; None for no limit.
    """

    id: str
    states: tuple[v1.ResourceState.ValueType, ...]
    removed: bool
    timeout: float | None

    def __post_init__(self) -> None:
        if not self.states and not self.removed:
            raise ValueError("nothing to wait for: give states, or removed=True")
        for state in self.states:
            if not isinstance(state, int):
                raise TypeError(
                    "wait takes states such as v1.RESOURCE_STATE_RUNNING, "
                    f"not {type(state).__name__}"
                )

    def request(self) -> v1.GetResourceRequest:
        """Return the request that reads the resource."""
        return v1.GetResourceRequest(id=self.id, view=v1.RESOURCE_VIEW_SUMMARY)

    def check_missing(self, error: NotFound) -> None:
        """Raise `error` unless a missing resource satisfies the goal."""
        if not self.removed or error.reason != _NOT_FOUND:
            raise error

    def timed_out(self, last: v1.Resource | None) -> WaitTimedOut:
        """Return the error of a wait that timed out.

        Args:
            last: the resource as last seen; None if it was never read.
        """
        metadata, now = {"resource": self.id}, "is not known"
        if last is not None:
            state = v1.ResourceState.Name(last.state).removeprefix("RESOURCE_STATE_")
            metadata = {"resource": last.id, "name": last.name, "state": state}
            now = f"is {state}"
        message = f"{self.id} {now} after {self.timeout:g} s, which is not what was waited for"
        return WaitTimedOut(StatusCode.DEADLINE_EXCEEDED, Details(message, metadata=metadata))


class WaitProgress:
    """The progress towards a goal, as far as a watch has shown.

    Args:
        goal: the goal.
        resource: the resource before the watch.

    Attributes:
        last: the resource as last seen.
    """

    def __init__(self, goal: Goal, resource: v1.Resource) -> None:
        self._goal = goal
        self.last = resource
        self._done = resource.state in goal.states
        self._observed = False  # by the watch
        # While the engine is lost, the absence of the resource tells nothing.
        self._engine_lost = False

    def done(self) -> bool:
        """Return whether the goal is reached."""
        return self._done

    def filter(self) -> v1.ResourceFilter:
        """Return the filter of the watch."""
        return v1.ResourceFilter(
            ids=[self.last.id], kinds=[self.last.kind], hosts=[self.last.engine.host]
        )

    def observe(self, event: Event) -> None:
        """Apply an event.

        Raises:
            NotFound: the resource was removed, and the goal is no removal.
        """
        match event:
            case Change(type=v1.CHANGE_TYPE_REMOVED):
                self._removed()
            case Change(resource=now):
                self._observed = True
                self.last = now
                self._done = now.state in self._goal.states
            case Gap(kind=v1.GAP_KIND_ENGINE_LOST):
                self._engine_lost = True
            case Gap(kind=v1.GAP_KIND_ENGINE_RESYNCED):
                self._engine_lost = False
                self._check_presence()
            case Gap(kind=v1.GAP_KIND_WATCH_RESTARTED):
                self._engine_lost = False  # the new initial state reports lost engines again
            case Synced():
                self._check_presence()

    def _check_presence(self) -> None:
        if not self._observed and not self._engine_lost:
            self._removed()

    def _removed(self) -> None:
        if not self._goal.removed:
            message = f"{self.last.name} was deleted while somebody waited for it"
            metadata = {"resource": self.last.id}
            raise NotFound(StatusCode.NOT_FOUND, Details(message, _NOT_FOUND, metadata))
        self._done = True


def wait(
    resources: v1.ResourceServiceStub, watch: Callable[[v1.ResourceFilter], Watch], goal: Goal
) -> v1.Resource | None:
    """Wait for a goal. See `Client.wait`."""
    began = time.monotonic()
    try:
        resource = resources.GetResource(goal.request(), timeout=goal.timeout).resource
    except NotFound as error:
        goal.check_missing(error)
        return None
    except DeadlineExceeded as error:
        raise _timed_out(goal, error) from None
    progress = WaitProgress(goal, resource)
    if progress.done():
        return resource
    with watch(progress.filter()) as events:
        over = threading.Event()

        def end() -> None:
            over.set()
            events.close()

        timer = None
        if goal.timeout is not None:
            timer = threading.Timer(max(0, began + goal.timeout - time.monotonic()), end)
            timer.daemon = True
            timer.start()
        try:
            for event in events:
                progress.observe(event)
                if progress.done():
                    return progress.last
        finally:
            if timer is not None:
                timer.cancel()
    if over.is_set():
        raise goal.timed_out(progress.last)
    raise Cancelled(StatusCode.CANCELLED, Details("the client was closed"))


def _timed_out(goal: Goal, error: DeadlineExceeded) -> Error:
    # With a reason, the deadline is one of an engine and not that of the wait.
    return error if error.reason or goal.timeout is None else goal.timed_out(None)
