"""Hosts and the engines on them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from proad.model.engine_ref import EngineRef
from proad.model.resource import ResourceKind


class Capability(StrEnum):
    """A capability of a driver beyond the lifecycle of its resources."""

    CONTAINERS = "CONTAINERS"
    IMAGES = "IMAGES"
    DOMAINS = "DOMAINS"
    SNAPSHOTS = "SNAPSHOTS"
    VOLUMES = "VOLUMES"
    UPDATE = "UPDATE"
    SAVE = "SAVE"
    STATS = "STATS"
    RECREATE = "RECREATE"
    COMMANDS = "COMMANDS"
    FILES = "FILES"
    PORT_FORWARDING = "PORT_FORWARDING"
    LOGS = "LOGS"
    CONSOLES = "CONSOLES"
    SOCKET_FORWARDING = "SOCKET_FORWARDING"


class EngineHealth(StrEnum):
    """Whether an engine answers."""

    SERVING = "SERVING"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine's own information about itself and its host."""

    version: str
    api_version: str = ""
    hostname: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    architecture: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine on a host, with its health."""

    ref: EngineRef
    version: str = ""
    api_version: str = ""
    endpoint: str = ""
    kinds: tuple[ResourceKind, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    health: EngineHealth | None = None
    health_change_time: datetime | None = None
    health_message: str = ""
    warnings: tuple[str, ...] = ()
    last_sync_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host connection and its engines."""

    name: str
    engines: tuple[Engine, ...] = ()
    hostname: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    architecture: str = ""
