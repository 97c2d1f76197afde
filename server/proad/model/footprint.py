"""What a create will leave on its engine, by which an interrupted create is found again."""

from dataclasses import dataclass
from datetime import datetime

from proad.model.container_parts import RestartPolicy
from proad.model.domain import DiskFormat
from proad.model.resource import Resource
from proad.model.snapshot import Snapshot
from proad.model.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVolume:
    """A volume that a create is about to make.

    Attributes:
        pool: name of its pool.
        name: its name, which is free.
        named_by_caller: whether the caller chose the name, so that somebody else may choose the
            same; otherwise it has digits of a nonce.
        capacity_bytes: its capacity.
        format: its format.
        id: by which the driver tells the volume from another that somebody made by its name.
    """

    pool: str
    name: str
    named_by_caller: bool
    capacity_bytes: int
    format: DiskFormat
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a create will leave on its engine; told before the create changes anything.

    Attributes:
        mark: what the resource will be known by: its full id, or its `Resource.creation`; of a
            snapshot, the full id of the snapshot's resource; empty for a volume alone.
        create_time: the time of the footprint; nothing that the create makes is older.
        start: whether the resource is to be started.
        autostart: whether the resource is to start with its host.
        networks: the networks that a container is connected to after its creation.
        snapshot: name of the snapshot; empty: the create makes none.
        named_by_caller: whether the caller chose the snapshot's name.
        volumes: the volumes that are to be made.
        replaces: full id of the container whose place the new one takes; empty: of none. The old
            one is as it was before, or gone, and never both are left.
        name: name that the new one is to have then.
        former: name that the old one had.
        policy: restart policy of the old one, which has none meanwhile; None: it had none.
        vcpus: of a domain.
        memory_bytes: the most that a domain may have.
        sources: files that the XML of a domain names, and volumes as POOL/NAME.
        read_sources: those of them that are only read: media, and what disks are based on.
    """

    mark: str = ""
    create_time: datetime
    start: bool = False
    autostart: bool = False
    networks: tuple[str, ...] = ()
    snapshot: str = ""
    named_by_caller: bool = False
    volumes: tuple[PlannedVolume, ...] = ()
    replaces: str = ""
    name: str = ""
    former: str = ""
    policy: RestartPolicy | None = None
    vcpus: int = 0
    memory_bytes: int = 0
    sources: tuple[str, ...] = ()
    read_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of an interrupted create.

    Attributes:
        made: what the create made.
        complete: whether `made` is as the create was asked for, or runs, so that it is not undone.
    """

    made: Resource | Snapshot | Volume
    complete: bool
