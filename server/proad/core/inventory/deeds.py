"""Whose doing a change is: that of a call to this daemon, or of somebody or something else.

Engines do not say who asked for what they tell. But a call of ours can only have done what
it leads to, while it is under way or shortly after it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from proad.errors import EngineTimedOutError, EngineUnreachableError, StopTimedOutError
from proad.model import ACTIVE, Lifetime, Resource, ResourceState, Verb

WAKE = 0.25
"""Seconds in which an engine may still tell of what a call did that ended well."""
LATE = 300.0
"""Seconds in which what a call asked for may still come, after it was given up."""

_S = ResourceState
_ENDS_IN: Mapping[Verb, frozenset[ResourceState]] = {
    Verb.START: frozenset({_S.RUNNING}),
    Verb.RESUME: frozenset({_S.RUNNING}),
    Verb.PAUSE: frozenset({_S.PAUSED}),
    Verb.STOP: frozenset({_S.STOPPED, _S.SAVED, _S.FAILED}),
}
"""Where a verb leads, and no further: what follows by itself is not its doing."""
_BY_WAY_OF: Mapping[Verb, frozenset[ResourceState]] = {
    # A domain is restored PAUSED, and taken to a snapshot through any state; one that
    # cannot start is back where it was, or FAILED.
    Verb.START: frozenset(_S) - {_S.RUNNING},
    # What is frozen has to run to hear that it is to stop.
    Verb.STOP: frozenset({_S.RUNNING, _S.STOPPING, _S.REMOVING}),
    Verb.RESTART: frozenset({_S.STOPPING, _S.STOPPED, _S.STARTING, _S.RUNNING}),
    Verb.DELETE: frozenset({_S.STOPPING, _S.STOPPED, _S.FAILED, _S.REMOVING}),
    # libvirt says of a domain whose memory it saves that it is about to be SAVED.
    Verb.CREATE_SNAPSHOT: frozenset({_S.PAUSED, _S.STOPPING, _S.RUNNING}),
    Verb.REVERT_SNAPSHOT: frozenset(_S),
}
_PASSING = frozenset({_S.STARTING, _S.STOPPING, _S.REMOVING})
_OPEN = (EngineTimedOutError, EngineUnreachableError, StopTimedOutError)
"""Failures after which what was asked for may still be done."""
_NONE: frozenset[ResourceState] = frozenset()


class Stage(Enum):
    """How far a call has come."""

    UNDER_WAY = auto()
    DONE = auto()
    """It ended well, and where it had led to was read at its end."""
    GIVEN_UP = auto()
    """It failed, but the engine, or the guest, may do yet what was asked."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a call of ours does to a resource, or did.

    Attributes:
        verb: what it does; None: it makes the resource.
        actor: the user whose call it is.
        stage: how far it has come.
        until: when nothing comes of it any more, by `time.monotonic`.
    """

    verb: Verb | None
    actor: str
    stage: Stage = Stage.UNDER_WAY
    until: float = float("inf")

    def ended(self, failure: BaseException | None) -> "Deed | None":
        """Give what is left of it at its end; None: nothing more can come of it."""
        now = time.monotonic()
        if failure is None:
            return replace(self, stage=Stage.DONE, until=now + WAKE)
        if self.verb is None or isinstance(failure, _OPEN):  # what was made is removed again
            return replace(self, stage=Stage.GIVEN_UP, until=now + LATE)
        return None  # what came of it half-way was read before it ended

    def did(self, before: Resource, after: Resource | None) -> bool:
        """Tell whether it can have taken a resource from `before` to `after`, or to its end."""
        if time.monotonic() >= self.until:
            return False
        if after is None:
            return self.stage is not Stage.DONE and _removes(self.verb, before)
        if before.state is not after.state:
            return self.stage is not Stage.DONE and _leads(self.verb, before.state, after.state)
        if _bears_another_name(before, after):
            return self.verb in {Verb.UPDATE, Verb.REVERT_SNAPSHOT}
        return self.stage is not Stage.GIVEN_UP  # ports, networks, sizes

    def outlives(self, before: Resource, after: Resource) -> bool:
        """Tell whether more may come of it after this change, whoever made that."""
        if self.stage is not Stage.GIVEN_UP or after.state in _PASSING:
            return True
        return before.state is after.state and not _bears_another_name(before, after)


def _bears_another_name(before: Resource, after: Resource) -> bool:
    return (before.name, before.labels) != (after.name, after.labels)


def _removes(verb: Verb | None, before: Resource) -> bool:
    passes = before.lifetime is Lifetime.TRANSIENT
    if verb is None:
        return not (passes and before.state in ACTIVE)
    return verb is Verb.DELETE or (passes and verb in {Verb.STOP, Verb.RESTART})


def _leads(verb: Verb | None, before: ResourceState, after: ResourceState) -> bool:
    verb = verb or Verb.START  # a create may start what it makes
    ends = _ENDS_IN.get(verb, _NONE)
    return before not in ends and after in ends | _BY_WAY_OF.get(verb, _NONE)
