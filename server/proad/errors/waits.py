"""Errors of waits for a resource."""

from datetime import timedelta

from proad.errors.root import ProaError, Reason


class ConditionImpossibleError(ProaError):
    """The condition cannot hold any more.

    Args:
        name: name of the resource.
        condition: what was waited for, for programs.
        outcome: the same in words, such as "be ready".
        why: why it cannot hold, and what to do.
        state: state of the resource.
        path: path of the resource.
    """

    reason = Reason.CONDITION_IMPOSSIBLE

    def __init__(
        self, name: str, condition: str, outcome: str, why: str, *, state: str, path: str
    ) -> None:
        super().__init__(
            f"{name!r} will not {outcome}: {why}",
            metadata={"name": name, "path": path, "state": state, "condition": condition},
        )


class WaitTimedOutError(ProaError):
    """The condition did not hold in time. `now` says what the resource is instead."""

    reason = Reason.WAIT_TIMED_OUT

    def __init__(
        self, name: str, timeout: timedelta, *, now: str, state: str = "", path: str = ""
    ) -> None:
        known = {"name": name, "path": path, "state": state}
        super().__init__(
            f"{name!r} {now} after {timeout.total_seconds():g} s, which is not what was waited "
            "for; wait again, or look at it",
            metadata={key: value for key, value in known.items() if value},
        )


class TooManyWaitsError(ProaError):
    """The user has the maximum number of waits."""

    reason = Reason.TOO_MANY_STREAMS

    def __init__(self, most: int) -> None:
        super().__init__(
            f"this user waits for {most} resources at a time, which is the most; end some of "
            "these waits, or follow all resources with one WatchResources"
        )
