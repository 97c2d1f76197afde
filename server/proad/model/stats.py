"""Usage of resources."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from proad.model.checks import Text
from proad.model.engine_ref import EngineRef
from proad.model.resource import ResourceFilter, ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStats:
    """Network traffic, from the workload's point of view."""

    receive_bytes: int = 0
    transmit_bytes: int = 0
    receive_packets: int = 0
    transmit_packets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStats:
    """Disk traffic."""

    read_bytes: int = 0
    write_bytes: int = 0
    read_requests: int = 0
    write_requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStats:
    """One sample. A driver leaves `engine`, `name` and `cpu_percent` to the core."""

    id: str
    kind: ResourceKind
    name: str = ""
    engine: EngineRef = field(default=EngineRef())
    sample_time: datetime
    cpu_time: timedelta
    cpu_percent: float | None = None
    memory_usage_bytes: int = 0
    memory_limit_bytes: int = 0
    network: NetworkStats = field(default_factory=NetworkStats)
    block: BlockStats = field(default_factory=BlockStats)


class MissingSampleReason(StrEnum):
    """The reason of a missing sample."""

    NOT_ACTIVE = "NOT_ACTIVE"
    NOT_TOLD = "NOT_TOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSample:
    """A resource without a sample, and the reason."""

    id: str
    kind: ResourceKind
    name: str
    engine: EngineRef
    reason: MissingSampleReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsBatch:
    """The samples of one interval, and the missing ones."""

    stats: tuple[ResourceStats, ...] = ()
    missing: tuple[MissingSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions:
    """The resources to sample, and the interval."""

    ids: tuple[Annotated[Text, Field(min_length=1)], ...] = ()
    interval: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = (
        timedelta(seconds=1)
    )
    filter: ResourceFilter = field(default_factory=ResourceFilter)
