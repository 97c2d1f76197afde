"""Events of a watch."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from proad.model.engine_ref import EngineRef
from proad.model.resource import Resource, ResourceState


class ChangeType(StrEnum):
    """The type of a change, from the watcher's point of view."""

    EXISTING = "EXISTING"
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    REMOVED = "REMOVED"


class ChangeCause(StrEnum):
    """The cause of a change."""

    API = "API"
    EXTERNAL = "EXTERNAL"


class GapKind(StrEnum):
    """The reason of a gap in a watch."""

    ENGINE_LOST = "ENGINE_LOST"
    ENGINE_RESYNCED = "ENGINE_RESYNCED"
    WATCH_RESTARTED = "WATCH_RESTARTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """A change of one resource. `previous_state` is None for a new resource."""

    type: ChangeType
    resource: Resource
    previous_state: ResourceState | None = None
    cause: ChangeCause | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """The position of a watch."""

    synced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A position where changes may be missing."""

    kind: GapKind
    engine: EngineRef | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One event of a watch; one of the three is set."""

    change: ResourceChange | None = None
    bookmark: Bookmark | None = None
    gap: Gap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """Options of a watch."""

    heartbeat_interval: Annotated[
        timedelta, Field(ge=timedelta(seconds=1), le=timedelta(minutes=5))
    ] = timedelta(seconds=15)
