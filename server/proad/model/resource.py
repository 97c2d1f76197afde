"""Resources: what containers and domains have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from proad.model.container import Container
from proad.model.domain import Domain
from proad.model.ids import FullId
from proad.model.lifetime import Lifetime


class ResourceKind(StrEnum):
    """The two kinds of resource."""

    CONTAINER = "CONTAINER"
    DOMAIN = "DOMAIN"


class ResourceState(StrEnum):
    """The state of a resource, the same words for both kinds."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    SAVED = "SAVED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    REMOVING = "REMOVING"
    FAILED = "FAILED"
    OTHER = "OTHER"


class StateReason(StrEnum):
    """Why a resource is in its state."""

    NEVER_STARTED = "NEVER_STARTED"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    OOM_KILLED = "OOM_KILLED"
    KILLED = "KILLED"
    RESTARTING = "RESTARTING"
    USER = "USER"
    IO_ERROR = "IO_ERROR"
    WATCHDOG = "WATCHDOG"
    CRASHED = "CRASHED"
    FROM_SNAPSHOT = "FROM_SNAPSHOT"
    MIGRATING = "MIGRATING"
    SAVING = "SAVING"
    OTHER = "OTHER"


class ResourceView(StrEnum):
    """How much of a resource is asked for."""

    SUMMARY = "SUMMARY"
    FULL = "FULL"


class Verb(StrEnum):
    """What can be done to a resource."""

    START = "START"
    STOP = "STOP"
    RESTART = "RESTART"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    DELETE = "DELETE"
    UPDATE = "UPDATE"
    CREATE_SNAPSHOT = "CREATE_SNAPSHOT"
    REVERT_SNAPSHOT = "REVERT_SNAPSHOT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDetail:
    """What is behind a state. `exit_code` is None until a process has ended once."""

    reason: StateReason | None = None
    message: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    start_time: datetime | None = None
    finish_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What is being done to a resource. `percent` is None where the engine does not tell."""

    verb: Verb
    step: str = ""
    percent: int | None = None
    start_time: datetime | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Resource:
    """A container or a domain.

    `id` is the engine's own full id. `host` is empty as a driver gives it; the
    inventory fills in the name of the host connection, `allowed_verbs`, `activity`,
    `etag`, `revision` and `observe_time`. A driver gives `allowed_verbs` where they are
    fewer than the state allows. `lifetime` is None in a SUMMARY where the engine's list does
    not tell it. `creation` tells which create of that driver made the resource, if the engine
    keeps that; no caller sees it.
    """

    id: str
    kind: ResourceKind
    name: str
    state: ResourceState
    state_detail: StateDetail = field(default_factory=StateDetail)
    labels: Mapping[str, str] = field(default_factory=dict)
    create_time: datetime | None = None
    lifetime: Lifetime | None = Lifetime.PERSISTENT
    allowed_verbs: tuple[Verb, ...] = ()
    host: str = ""
    activity: Activity | None = None
    etag: str = ""
    revision: int = 0
    observe_time: datetime | None = None
    container: Container | None = None
    domain: Domain | None = None
    creation: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFilter:
    """Which resources a list or a watch is about; an empty field lets everything through."""

    kinds: tuple[ResourceKind, ...] = ()
    states: tuple[ResourceState, ...] = ()
    name_prefix: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    hosts: tuple[str, ...] = ()
    ids: tuple[FullId, ...] = ()

    def matches(self, resource: Resource) -> bool:
        """Tell whether every condition holds for `resource`."""
        return (
            (not self.kinds or resource.kind in self.kinds)
            and (not self.states or resource.state in self.states)
            and (not self.hosts or resource.host in self.hosts)
            and (not self.ids or resource.id in self.ids)
            and resource.name.startswith(self.name_prefix)
            and all(resource.labels.get(key) == value for key, value in self.labels.items())
            and (
                not self.image
                or (resource.container is not None and resource.container.image == self.image)
            )
        )
