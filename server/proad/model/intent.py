"""What a call is about to change; told before the first call to an engine that changes something."""

from dataclasses import dataclass
from enum import StrEnum

from proad.model.footprint import Footprint
from proad.model.resource import ResourceState


class Action(StrEnum):
    """What a call does. The names of verbs are those of `Verb`."""

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
    CREATE_CONTAINER = "CREATE_CONTAINER"
    PRUNE_CONTAINERS = "PRUNE_CONTAINERS"
    CREATE_DOMAIN = "CREATE_DOMAIN"
    PULL_IMAGE = "PULL_IMAGE"
    DELETE_IMAGE = "DELETE_IMAGE"
    LOGOUT_REGISTRY = "LOGOUT_REGISTRY"
    CREATE_VOLUME = "CREATE_VOLUME"
    DELETE_VOLUME = "DELETE_VOLUME"
    RUN_COMMAND = "RUN_COMMAND"
    READ_FILE = "READ_FILE"
    WRITE_FILE = "WRITE_FILE"
    MAKE_DIRECTORY = "MAKE_DIRECTORY"
    REMOVE_FILE = "REMOVE_FILE"
    FORWARD_PORT = "FORWARD_PORT"
    ATTACH = "ATTACH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a call is about to change, by which an interrupted call is judged.

    Attributes:
        action: what the call does.
        host: name of the host connection.
        driver: name of the driver.
        id: full id of the resource; empty: the call makes one, or is about something else.
        path: canonical path of the resource; empty as `id` is.
        wanted: the state in which the call leaves the resource; None: any, or none of its own.
        name: name of what is not a resource: snapshot, volume, image, registry.
        pool: name of the pool of a volume.
        footprint: what a create leaves on the engine; None: the call creates nothing.
        changes: the paths that an update changes, each with a digest of its new value.
    """

    action: Action
    host: str
    driver: str
    id: str = ""
    path: str = ""
    wanted: ResourceState | None = None
    name: str = ""
    pool: str = ""
    footprint: Footprint | None = None
    changes: tuple[tuple[str, str], ...] = ()
