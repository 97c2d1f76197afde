"""What a watch tells its user.

    picture = {}
    for event in client.watch():
        match event:
            case proa.Change(type=v1.CHANGE_TYPE_REMOVED, resource=gone):
                del picture[gone.host, gone.id]
            case proa.Change(resource=now):
                picture[now.host, now.id] = now
            case proa.Synced():
                print("that is all there is")

Who applies the changes as they come always ends with the daemon's picture, whatever
happened on the way; who only wants that leaves all but `Change` aside.
"""

from dataclasses import dataclass
from typing import TypeAlias

from proa import v1
from proa.errors import Error


@dataclass(frozen=True, slots=True)
class Change:
    """A resource was there, came, changed or went.

    Attributes:
        type: what happened. EXISTING comes before the first `Synced` only, and of one
            resource there is never a second ADDED or EXISTING without a REMOVED between.
        resource: the resource afterwards, in the SUMMARY view; a REMOVED one as it last
            was, or as it is now, outside of the filter. Not to be changed: the watch
            compares with it later.
        previous_state: the state before; unspecified for what was not there.
        cause: where it came from; unspecified where that is not known: in the initial
            state, and for what was found to differ after a gap.
        actor: name of the user whose call it was, if the cause is API.
    """

    type: v1.ChangeType.ValueType
    resource: v1.Resource
    previous_state: v1.ResourceState.ValueType = v1.RESOURCE_STATE_UNSPECIFIED
    cause: v1.ChangeCause.ValueType = v1.CHANGE_CAUSE_UNSPECIFIED
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Synced:
    """All that there is has been told: after the initial state, and again after a restart."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Steps may be missing here; what is told afterwards is true all the same.

    Attributes:
        kind: ENGINE_LOST: the engine's resources are as last known from here on, also if
            the daemon was restarted and does not know them any more.
            ENGINE_RESYNCED: it was read anew; what differed has been told as changes.
            WATCH_RESTARTED: the watch had to read everything anew; what differs follows
            as changes, then `Synced`. What was told before stays good.
        engine: the engine that it is about, as HOST/DRIVER; empty: all of them.
        message: more, for people.
    """

    kind: v1.GapKind.ValueType
    engine: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The daemon is not heard any more; what was told is as last known. The watch goes on trying.

    Attributes:
        error: what the call failed with.
    """

    error: Error


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The daemon is heard again; what happened meanwhile follows."""


Event: TypeAlias = Change | Synced | Gap | Disconnected | Reconnected
"""What a watch hands on."""
