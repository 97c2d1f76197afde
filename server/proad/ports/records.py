"""What must outlive the daemon and must not be on the engine: what it made there.

What is noted on the engine itself can be changed by whoever may use the engine; what a
delete may take and which format a volume was made in is therefore kept here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from proad.model import DiskFormat


class RecordState(StrEnum):
    """How far a volume has come, and whether it goes with a domain."""

    # The engine is asked for it, or was when the daemon died.
    PLANNED = "PLANNED"
    # Made for a domain, and deleted with it.
    OWNED = "OWNED"
    # Made by Proa and nobody's: only DeleteVolume takes it.
    ORDINARY = "ORDINARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """Which file a path leads to, and not merely what it is called.

    Attributes:
        device: number of its file system, which may be another one after a reboot.
        inode: its number in that file system, which a later file may get.
        birth_time_ns: when it was made, in nanoseconds since 1970; None: the file system
            does not know.
    """

    device: int
    inode: int
    birth_time_ns: int | None = None

    def is_same(self, other: "FileIdentity") -> bool:
        """Tell whether both are of one file.

        The time of birth tells the files apart that had the same inode, on whichever
        device; without it device and inode have to do.
        """
        if self.birth_time_ns is not None and other.birth_time_ns is not None:
            return (self.inode, self.birth_time_ns) == (other.inode, other.birth_time_ns)
        return (self.device, self.inode) == (other.device, other.inode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An image below another one: where it is, and in which format it was made."""

    path: str
    format: DiskFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRecord:
    """A volume that Proa made. No caller and no guest can write it.

    Attributes:
        id: a UUID of the record.
        state: how far the volume has come, and whether it goes with a domain.
        owner: UUID of the domain that it was made for; empty: of none.
        pool: name of its pool.
        name: its name in the pool.
        path: where it is; empty while it is PLANNED.
        key: the engine's key of it; empty while it is PLANNED.
        format: the format that it was made in, whatever it looks like by now.
        base_chain: the images below it as it was made, the nearest first.
        file: the file that was made; None: it is on another host, or no file.
        create_time: when it was planned.
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


class VolumeRecords(Protocol):
    """The volumes that Proa made, by engine.

    `engine` is an engine's own identity, never the configured name of its host. Every
    method raises DatabaseUnreachableError where the records cannot be read or written.
    """

    async def list(self, engine: str) -> list[VolumeRecord]:
        """Give all records of an engine, in any order."""

    async def put(self, engine: str, record: VolumeRecord) -> None:
        """Keep a record, in place of the one with its id if there is one."""

    async def remove(self, engine: str, ids: Collection[str]) -> None:
        """End records by their ids; one that is not there is no error."""
