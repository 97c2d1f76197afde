"""Waiting until a condition holds for a resource, over any number of calls."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from proa import v1
from proa.backoff import Backoff, is_transient
from proa.errors import Details, Error, WaitTimedOut
from proa.timing import ClientTiming

# The daemon's limit.
_LONGEST = timedelta(hours=1).total_seconds()
_SHORTEST = 0.001


def condition(
    states: Sequence[v1.ResourceState.ValueType],
    *,
    ready: bool = False,
    has_address: bool = False,
    removed: bool = False,
) -> v1.WaitCondition:
    """Return the one condition that is asked for.

    Raises:
        ValueError: nothing is asked for, or more than one condition.
        TypeError: a state is none.
    """
    if sum([bool(states), ready, has_address, removed]) != 1:
        raise ValueError("wait for one of: states, ready, has_address, removed")
    for state in states:
        if not isinstance(state, int):
            raise TypeError(
                f"wait takes states such as v1.RESOURCE_STATE_RUNNING, not {type(state).__name__}"
            )
    if states:
        return v1.WaitCondition(in_state=v1.WaitCondition.InState(states=states))
    if ready:
        return v1.WaitCondition(ready=v1.WaitCondition.Ready())
    if has_address:
        return v1.WaitCondition(has_address=v1.WaitCondition.HasAddress())
    return v1.WaitCondition(gone=v1.WaitCondition.Gone())


class WaitState:
    """The requests of a wait, and what follows from their failures. Makes no call itself.

    The first call finds the resource, and the others wait for its path, so that another resource
    that gets the name meanwhile does not count. A wait is a read: it is repeated where the daemon
    or the connection was lost, and where it takes longer than one call may.

    Args:
        id: id of the resource.
        condition: what to wait for.
        timeout: maximum time to wait, in seconds; None for no limit.
        timing: the pauses between calls.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        id: str,
        condition: v1.WaitCondition,
        timeout: float | None,
        *,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = v1.GetResourceRequest(id=id, view=v1.RESOURCE_VIEW_SUMMARY)
        self._request = v1.WaitResourceRequest(condition=condition)
        self._timeout = timeout
        self._timing = timing
        self._clock = clock
        self._backoff = Backoff(timing, clock)
        self._left = math.inf if timeout is None else timeout  # as of the last failure
        self._ends = clock() + self._left

    def lookup(self) -> v1.GetResourceRequest | None:
        """Return the request that finds the resource; None: it is found."""
        self._backoff.begin()
        return None if self._request.id else self._lookup

    def found(self, resource: v1.Resource) -> None:
        """Take note of the resource."""
        self._request.id = resource.path

    def request(self) -> v1.WaitResourceRequest:
        """Return the request that waits."""
        duration = Duration()
        duration.FromTimedelta(timedelta(seconds=self._part()))
        self._request.timeout.CopyFrom(duration)
        return self._request

    def deadline(self) -> float:
        """Return the deadline of the next call, in seconds; later than the answer to a wait."""
        return self._part() + self._timing.wait_margin

    def fail(self, error: Error) -> float:
        """Return the pause before the next call, in seconds.

        Raises:
            WaitTimedOut: the time is over.
            Error: `error` itself, if another call cannot succeed.
        """
        unfound = not self._request.id
        if unfound and error.reason == "RESOURCE_NOT_FOUND" and self._for_removal():
            self._request.id = self._lookup.id  # the wait itself says that it is gone
            return 0.0
        whole = self._left <= _LONGEST
        self._left = self._ends - self._clock()
        timed_out = error.reason == "WAIT_TIMED_OUT"
        if self._left <= 0 or (timed_out and whole):
            raise (self._silent() if _is_deadline_of_call(error) else error) from None
        if timed_out:
            return 0.0
        if unfound and error.reason != "ENGINE_UNREACHABLE":
            raise error  # as of any first call
        if error.code() is StatusCode.CANCELLED or not is_transient(error):
            raise error
        return min(self._backoff.after(error), self._left)

    def _part(self) -> float:
        return max(_SHORTEST, min(self._left, _LONGEST))

    def _for_removal(self) -> bool:
        return self._request.condition.HasField("gone")

    def _silent(self) -> WaitTimedOut:
        id = self._lookup.id
        message = f"the daemon did not answer the wait for {id} within {self._timeout:g} s"
        return WaitTimedOut(StatusCode.DEADLINE_EXCEEDED, Details(message))


def wait(resources: v1.ResourceServiceStub, state: WaitState) -> v1.Resource | None:
    """Wait until the condition holds. See `Client.wait`."""
    while True:
        try:
            if lookup := state.lookup():
                state.found(resources.GetResource(lookup, timeout=state.deadline()).resource)
            answer = resources.WaitResource(state.request(), timeout=state.deadline())
        except Error as error:
            pause = state.fail(error)
        else:
            return answer.resource if answer.HasField("resource") else None
        time.sleep(pause)


def _is_deadline_of_call(error: Error) -> bool:
    # With a reason, the deadline is the daemon's.
    return error.code() is StatusCode.DEADLINE_EXCEEDED and not error.reason
