"""Records of resources and of the volumes that Proa answers for, which outlive the daemon.

A note on the engine itself can be changed by anyone who may use the engine. What a delete may
remove, which format a volume was made in, and whose a resource is, is therefore kept in the
daemon's own database.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from proad.model import Charge, DiskFormat

EngineIdentity = str
"""What identifies an engine, whatever the configured name of its host; see `Driver.identity`."""


class RecordState(StrEnum):
    """How far the creation of a volume has come, and whether the volume belongs to a domain."""

    # The engine is being asked for the volume, or was when the daemon died.
    PLANNED = "PLANNED"
    # Made for a domain, and deleted with that domain.
    OWNED = "OWNED"
    # Made by Proa for no domain, or handed over: only DeleteVolume deletes it.
    ORDINARY = "ORDINARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """The identity of a file, whatever its path.

    Attributes:
        device: number of the file system, which may change with a reboot.
        inode: number of the file in the file system, which a later file may get again.
        birth_time_ns: creation time in nanoseconds since 1970; None: the file system does not
            record it.
    """

    device: int
    inode: int
    birth_time_ns: int | None = None

    def is_same(self, other: "FileIdentity") -> bool:
        """Return whether both identify one file.

        The creation time distinguishes files that had the same inode, and makes the device
        unnecessary. Without it, device and inode must suffice.
        """
        if self.birth_time_ns is not None and other.birth_time_ns is not None:
            return (self.inode, self.birth_time_ns) == (other.inode, other.birth_time_ns)
        return (self.device, self.inode) == (other.device, other.inode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An image in the backing chain of another one: its path and the format it was made in."""

    path: str
    format: DiskFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRecord:
    """The record of a volume that Proa made, or that was handed over to an owner.

    No caller and no guest can write it.

    Attributes:
        id: a UUID of the record.
        state: how far the creation has come, and whether the volume belongs to a domain.
        owner: UUID of the domain that the volume was made for; empty: none.
        pool: name of the pool.
        name: name of the volume in the pool.
        path: path of the volume; empty while PLANNED.
        key: the engine's key of the volume; empty while PLANNED.
        format: the format that the volume was made or handed over in, whatever its content looks
            like now.
        base_chain: the images below the volume when it was made, the nearest first.
        file: the file; None: the volume is on another host, or no file.
        create_time: when the volume was planned, or handed over.
    """

    id: str
    state: RecordState
    owner: str = ""
    pool: str
    name: str
    path: str = ""
    key: str = ""
    format: DiskFormat
    base_chain: tuple[Layer, ...] = ()
    file: FileIdentity | None = None
    create_time: datetime

    @property
    def is_named_after_itself(self) -> bool:
        """Whether the name has digits of the id, so that nobody else gave it to a volume."""
        return name_digits(self.id) in self.name


def name_digits(id: str) -> str:
    """Return the digits of a record's id that the name of its volume has, unless a caller named it."""
    return id[:8]


class VolumeRecords(Protocol):
    """The records of volumes, by engine.

    Every method raises DatabaseUnreachableError if the records cannot be read or written.
    """

    async def list(self, engine: EngineIdentity) -> list[VolumeRecord]:
        """Return all records of an engine, in any order."""

    async def put(self, engine: EngineIdentity, record: VolumeRecord) -> None:
        """Store a record, in place of the one with the same id if there is one."""

    async def remove(self, engine: EngineIdentity, ids: Collection[str]) -> None:
        """Remove records by their ids; unknown ids are ignored."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The record that a user may use an image, which was pulled with credentials.

    Attributes:
        engine: identity of the engine that has the image.
        image: id of the image, or what stands for the image of a pull that has not ended.
        user_id: id of the user who pulled the image with credentials of their own; empty:
            everybody may use the image.
    """

    engine: EngineIdentity
    image: str
    user_id: str


class ImageRecords(Protocol):
    """The records of images that were pulled with credentials.

    Every method raises DatabaseUnreachableError if the records cannot be read or written.
    """

    async def all(self) -> list[ImageRecord]:
        """Return all records, in any order."""

    async def put(self, record: ImageRecord) -> None:
        """Store a record, which may be there already."""

    async def remove(self, records: Collection[ImageRecord]) -> None:
        """Remove records; unknown ones are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOwner:
    """Whose a volume is.

    Attributes:
        id: the id of the volume's record, by which the driver tells the volume from others.
        owner: id of the user or team.
        domain: UUID of the domain that the volume was made for, and is handed over with; empty: none.
        capacity_bytes: the size that a guest sees.
    """

    id: str
    owner: str
    domain: str = ""
    capacity_bytes: int = 0


class VolumeOwners(Protocol):
    """Whose volumes are, by engine. A volume that is not among them is nobody's.

    Every method raises DatabaseUnreachableError if the owners cannot be read or written.
    """

    async def list(self, engine: EngineIdentity) -> Sequence[VolumeOwner]:
        """Return all owners of an engine's volumes, in any order."""

    async def put(self, engine: EngineIdentity, owners: Collection[VolumeOwner]) -> None:
        """Store owners, in place of those with the same ids."""

    async def remove(self, engine: EngineIdentity, ids: Collection[str]) -> None:
        """Remove the owners of volumes that are no more; unknown ids are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRecord:
    """The record of a resource: what its engine cannot tell, or cannot change.

    Attributes:
        mark: what the resource has been known by since before its creation: its full id, or its
            `Resource.creation`.
        id: its full id; empty: not known yet.
        owner: id of the user or team that the resource belongs to; empty: nobody's.
        deletion_protection: whether deletes of the resource are refused.
        labels: the labels in place of those that the engine has; None: those that it has.
        create_time: when the record was made; the resource that a create made is not older.
        charge: what it counts for in quotas, as long as no engine shows another value; None: that
            is not known.
    """

    mark: str
    id: str = ""
    owner: str = ""
    deletion_protection: bool = False
    labels: Mapping[str, str] | None = None
    create_time: datetime
    charge: Charge | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to record."""
        return not (self.owner or self.deletion_protection or self.labels is not None)


class ResourceRecords(Protocol):
    """The records of resources, by engine. A resource without one has nothing to record.

    Every method raises DatabaseUnreachableError if the records cannot be read or written.
    """

    async def engines(self) -> Collection[EngineIdentity]:
        """Return the engines that have records."""

    def batches(self, engine: EngineIdentity) -> AsyncIterator[Sequence[ResourceRecord]]:
        """Yield all records of an engine, in any order, some at a time."""

    async def put(self, engine: EngineIdentity, record: ResourceRecord) -> None:
        """Store a record, in place of the one with the same mark if there is one."""

    async def remove(self, engine: EngineIdentity, marks: Collection[str]) -> None:
        """Remove records by their marks; unknown marks are ignored."""


class OwnerNames(Protocol):
    """The names of users and teams by their ids, which stay when a name changes or goes."""

    async def names(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return the present names of these owners, without those who are no more.

        Raises:
            DatabaseUnreachableError: the names cannot be read.
        """


class Owners(OwnerNames, Protocol):
    """Users and teams as owners."""

    async def unrestricted(self, ids: Collection[str]) -> Collection[str]:
        """Return those of these owners who are users with access to all.

        Raises:
            DatabaseUnreachableError: it cannot be read.
        """
