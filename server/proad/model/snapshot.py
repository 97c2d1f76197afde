"""Snapshots of a domain."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from proad.model.checks import FileName, XmlText
from proad.model.quota import Charge
from proad.model.resource import ResourceState


class RevertState(StrEnum):
    """The state of a domain after a revert."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSpec:
    """The specification of a snapshot; an empty name is replaced by the time."""

    name: FileName = ""
    description: XmlText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state of a domain to which it can be reverted.

    Attributes:
        charge: what the domain counts for in quotas after a revert; None: as before it.
    """

    name: str
    resource_id: str
    description: str = ""
    create_time: datetime | None = None
    state: ResourceState
    has_memory: bool = False
    parent: str = ""
    current: bool = False
    charge: Charge | None = None
