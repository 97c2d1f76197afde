"""Check whether the answers to overlapping calls fit some serial order."""

from collections.abc import Sequence
from dataclasses import dataclass

STOPPED, RUNNING, PAUSED, GONE = "STOPPED", "RUNNING", "PAUSED", "GONE"
BUSY = "ACTIVITY_IN_PROGRESS"
DELETED = "RESOURCE_NOT_FOUND"

# The answer of a verb in a state, and the state afterwards, by the contract.
_ANSWERS = {
    ("start", STOPPED): (RUNNING, RUNNING),
    ("start", PAUSED): (RUNNING, RUNNING),
    ("start", RUNNING): ("RESOURCE_ALREADY_RUNNING", RUNNING),
    ("stop", STOPPED): ("RESOURCE_NOT_RUNNING", STOPPED),
    ("stop", PAUSED): (STOPPED, STOPPED),
    ("stop", RUNNING): (STOPPED, STOPPED),
    ("pause", STOPPED): ("RESOURCE_NOT_RUNNING", STOPPED),
    ("pause", PAUSED): ("ILLEGAL_STATE", PAUSED),
    ("pause", RUNNING): (PAUSED, PAUSED),
    ("resume", STOPPED): ("RESOURCE_NOT_RUNNING", STOPPED),
    ("resume", PAUSED): (RUNNING, RUNNING),
    ("resume", RUNNING): ("ILLEGAL_STATE", RUNNING),
    ("delete", STOPPED): (GONE, GONE),
    ("delete", PAUSED): ("RESOURCE_RUNNING", PAUSED),
    ("delete", RUNNING): ("RESOURCE_RUNNING", RUNNING),
}


@dataclass(frozen=True)
class Call:
    """A call, what was answered to it, and when it was under way."""

    verb: str
    answer: str
    begin: float
    end: float


def after(call: Call, state: str) -> str | None:
    """Return the state after a call with its answer, or None if the state does not allow the answer."""
    if call.answer == BUSY:
        return state
    answer, next_state = (DELETED, GONE) if state == GONE else _ANSWERS[call.verb, state]
    return next_state if answer == call.answer else None


def final_states(calls: Sequence[Call], start: str) -> set[str]:
    """Return the states in which a serial order of the calls can end; empty if there is no order.

    In such an order no call comes before one that had ended when it began.
    """
    everyone = (1 << len(calls)) - 1
    before = [
        sum(1 << m for m, other in enumerate(calls) if _precedes(other, m, call, n))
        for n, call in enumerate(calls)
    ]
    reached = {(0, start)}
    unexplored = [(0, start)]
    while unexplored:
        done, state = unexplored.pop()
        places = [
            (done | 1 << number, following)
            for number, call in enumerate(calls)
            if not done & 1 << number
            and not before[number] & ~done
            and (following := after(call, state)) is not None
        ]
        # Calls that change nothing may come first.
        idle = [place for place in places if place[1] == state]
        for place in idle[:1] or places:
            if place not in reached:
                reached.add(place)
                unexplored.append(place)
    return {state for done, state in reached if done == everyone}


def _precedes(one: Call, m: int, other: Call, n: int) -> bool:
    """Return whether one call must or may come before another one."""
    if one.end < other.begin:
        return True
    # Of two that are alike, the one that was earlier at both ends.
    alike = (one.verb, one.answer) == (other.verb, other.answer)
    return alike and (one.begin, one.end, m) < (other.begin, other.end, n) and one.end <= other.end
