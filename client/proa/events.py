"""The events of a watch.

    picture = {}
    for event in client.watch():
        match event:
            case proa.Change(type=v1.CHANGE_TYPE_REMOVED, resource=gone):
                del picture[gone.path]
            case proa.Change(resource=now):
                picture[now.path] = now
            case proa.Synced():
                print("that is all there is")

A user who applies all changes in order ends with the daemon's state, whatever happens on the
way. For that alone, events other than `Change` can be ignored.
"""

from dataclasses import dataclass
from typing import TypeAlias

from proa import v1
from proa.errors import Error


@dataclass(frozen=True, slots=True)
class Change:
    """A resource exists, was added, modified or removed.

    Attributes:
        type: type of the change. EXISTING comes before the first `Synced` only. For one
            resource, no second ADDED or EXISTING comes without a REMOVED between.
        resource: the resource after the change, in the SUMMARY view; a REMOVED one as last
            seen, or as it is now, outside of the filter. Must not be modified: the watch
            compares it with later responses.
        previous_state: the state before; unspecified for a new resource.
        cause: cause of the change, as best effort; unspecified if unknown: in the initial
            state, and for differences after a gap.
        actor: name of the user whose call the change is taken for, if the cause is API.
    """

    type: v1.ChangeType.ValueType
    resource: v1.Resource
    previous_state: v1.ResourceState.ValueType = v1.RESOURCE_STATE_UNSPECIFIED
    cause: v1.ChangeCause.ValueType = v1.CHANGE_CAUSE_UNSPECIFIED
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Synced:
    """The initial state is complete; comes again after each restart of the watch."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Intermediate changes may be missing here; later events are correct all the same.

    Attributes:
        kind: ENGINE_LOST: the engine's resources stay as last known, even if the daemon was
            restarted and no longer knows them.
            ENGINE_RESYNCED: the engine was read again; the differences came as changes.
            WATCH_RESTARTED: the watch reads everything again; the differences follow as
            changes, then `Synced`. Earlier events stay valid.
        engine: the engine; None for all engines.
        message: details, for people.
    """

    kind: v1.GapKind.ValueType
    engine: v1.EngineRef | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection to the daemon is lost, and the watch retries. Resources stay as last known.

    Attributes:
        error: the error of the call.
    """

    error: Error


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The daemon responds again; the changes of the meantime follow."""


Event: TypeAlias = Change | Synced | Gap | Disconnected | Reconnected
"""An event of a watch."""
