"""Resources: the common parts of containers and domains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from proad.model.container import Container
from proad.model.domain import Domain
from proad.model.engine_ref import EngineRef
from proad.model.guest_info import GuestInfo
from proad.model.ids import FullId, Username
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
    """The reason of a resource's state."""

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
    """The view of a resource: which of its fields are filled in."""

    SUMMARY = "SUMMARY"
    FULL = "FULL"


class Verb(StrEnum):
    """An operation on an existing resource."""

    START = "START"
    STOP = "STOP"
    RESTART = "RESTART"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    DELETE = "DELETE"
    UPDATE = "UPDATE"
    CREATE_SNAPSHOT = "CREATE_SNAPSHOT"
    REVERT_SNAPSHOT = "REVERT_SNAPSHOT"
    DELETE_SNAPSHOT = "DELETE_SNAPSHOT"
    RECREATE = "RECREATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDetail:
    """Details of a state. `exit_code` is None until a process has ended once.

    A driver leaves `last_lines` to the core.
    """

    reason: StateReason | None = None
    message: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    start_time: datetime | None = None
    finish_time: datetime | None = None
    last_lines: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The verb that is running on a resource. `percent` is None if the engine does not report it."""

    verb: Verb
    step: str = ""
    percent: int | None = None
    start_time: datetime | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Resource:
    """A container or a domain.

    `id` is the engine's own full id. A driver leaves `engine` to the inventory, which fills in
    also `allowed_verbs`, `activity`, `etag`, `epoch`, `revision`, `observe_time`, `path`, `owner`,
    `deletion_protection`, and the labels that were changed here. A driver sets `allowed_verbs` if
    they are fewer than the state allows. `owner_id` is the immutable id behind the name in `owner`,
    which is empty for an owner who is no more; callers never see it. `guest_info` is the core's, too,
    and in no view that the inventory has.
    `lifetime` is None in a SUMMARY if the engine's list does not contain it. `creation` names
    the driver's create that made the resource, if the engine keeps that; callers never see it.
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
    engine: EngineRef = field(default=EngineRef())
    activity: Activity | None = None
    etag: str = ""
    epoch: str = ""
    revision: int = 0
    observe_time: datetime | None = None
    path: str = ""
    container: Container | None = None
    domain: Domain | None = None
    owner: str = ""
    owner_id: str = field(default="", repr=False)
    deletion_protection: bool = False
    guest_info: GuestInfo | None = field(default=None, repr=False)
    creation: str = field(default="", repr=False)


def path_of(engine: EngineRef, resource: Resource) -> str:
    """Return the canonical path of a resource: HOST/KIND/ID, the kind in lower case."""
    return f"{engine.host}/{resource.kind.lower()}/{resource.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFilter:
    """The filter of a list or a watch; an empty field matches everything."""

    kinds: tuple[ResourceKind, ...] = ()
    states: tuple[ResourceState, ...] = ()
    name_prefix: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    hosts: tuple[str, ...] = ()
    ids: tuple[FullId, ...] = ()
    owners: tuple[Username, ...] = ()

    def matches(self, resource: Resource) -> bool:
        """Return whether a resource meets every condition."""
        return (
            (not self.kinds or resource.kind in self.kinds)
            and (not self.states or resource.state in self.states)
            and (not self.hosts or resource.engine.host in self.hosts)
            and (not self.ids or resource.id in self.ids or resource.path in self.ids)
            and (not self.owners or resource.owner in self.owners)
            and resource.name.startswith(self.name_prefix)
            and all(resource.labels.get(key) == value for key, value in self.labels.items())
            and (
                not self.image
                or (resource.container is not None and resource.container.image == self.image)
            )
        )
