"""What a watcher is told."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from proad.model.resource import Resource, ResourceState


class ChangeType(StrEnum):
    """What happened to a resource, as a watcher sees it."""

    EXISTING = "EXISTING"
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    REMOVED = "REMOVED"


class ChangeCause(StrEnum):
    """Where a change came from."""

    API = "API"
    EXTERNAL = "EXTERNAL"


class GapKind(StrEnum):
    """Why a watch may not have been told of every step."""

    ENGINE_LOST = "ENGINE_LOST"
    ENGINE_RESYNCED = "ENGINE_RESYNCED"
    WATCH_RESTARTED = "WATCH_RESTARTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """A change of one resource. `previous_state` is None for what was not there."""

    type: ChangeType
    resource: Resource
    previous_state: ResourceState | None = None
    cause: ChangeCause | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """Says how far a watch has come."""

    synced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A place where steps may be missing."""

    kind: GapKind
    engine: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One event of a watch; one of the three is set."""

    change: ResourceChange | None = None
    bookmark: Bookmark | None = None
    gap: Gap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How a watch is to be held."""

    heartbeat_interval: Annotated[
        timedelta, Field(ge=timedelta(seconds=1), le=timedelta(minutes=5))
    ] = timedelta(seconds=15)
