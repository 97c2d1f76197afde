"""Domains: specification, view and update."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from proad.model.checks import (
    AbsolutePath,
    FileName,
    MacAddress,
    Name,
    VolumeName,
    XmlText,
    named_labels,
    spelled,
)
from proad.model.lifetime import Lifetime
from proad.model.quota import Charge

MIN_MEMORY_BYTES = 32 * 2**20
DEFAULT_DISK_BYTES = 10 * 2**30
# The maximum of libvirt, and a value that can only be a typing error.
MAX_MEMORY_BYTES = 2**46
MAX_VCPUS = 4096
MAX_DISK_BYTES = 2**60


class BootDevice(StrEnum):
    """A device to boot from."""

    DISK = "DISK"
    CDROM = "CDROM"
    NETWORK = "NETWORK"
    OTHER = "OTHER"


class Firmware(StrEnum):
    """Firmware of a domain."""

    BIOS = "BIOS"
    UEFI = "UEFI"
    OTHER = "OTHER"


class CpuMode(StrEnum):
    """The CPU model that the guest sees."""

    HOST_PASSTHROUGH = "HOST_PASSTHROUGH"
    HOST_MODEL = "HOST_MODEL"
    MAXIMUM = "MAXIMUM"
    OTHER = "OTHER"


class DiskBus(StrEnum):
    """The bus of a disk."""

    VIRTIO = "VIRTIO"
    SATA = "SATA"
    SCSI = "SCSI"
    IDE = "IDE"
    USB = "USB"
    FDC = "FDC"
    OTHER = "OTHER"


class NetworkModel(StrEnum):
    """The model of a network card."""

    VIRTIO = "VIRTIO"
    E1000E = "E1000E"
    RTL8139 = "RTL8139"
    OTHER = "OTHER"


class GraphicsType(StrEnum):
    """How the screen is reached."""

    VNC = "VNC"
    NONE = "NONE"
    VNC_LOOPBACK = "VNC_LOOPBACK"
    VNC_OTHER = "VNC_OTHER"
    SPICE = "SPICE"
    OTHER = "OTHER"


class VideoModel(StrEnum):
    """The model of the video card."""

    VIRTIO = "VIRTIO"
    VGA = "VGA"
    QXL = "QXL"
    NONE = "NONE"
    OTHER = "OTHER"


class VirtType(StrEnum):
    """The virtualization of a domain."""

    KVM = "KVM"
    QEMU = "QEMU"
    TEST = "TEST"
    OTHER = "OTHER"


class DiskFormat(StrEnum):
    """The format of a disk."""

    QCOW2 = "QCOW2"
    RAW = "RAW"
    OTHER = "OTHER"


class DiskDevice(StrEnum):
    """The kind of a disk."""

    DISK = "DISK"
    CDROM = "CDROM"
    FLOPPY = "FLOPPY"
    OTHER = "OTHER"


def _uuid(value: str) -> str:
    try:
        return str(UUID(value)) if value else value
    except ValueError:
        raise ValueError("must be a UUID") from None


Capacity = Annotated[int, Field(ge=0, le=MAX_DISK_BYTES)]
Memory = Annotated[int, Field(ge=MIN_MEMORY_BYTES, le=MAX_MEMORY_BYTES, multiple_of=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRef:
    """A volume in a storage pool; an empty pool means the host's default one.

    `format` is the caller's statement about the volume, for a disk on top of it.
    """

    name: VolumeName
    pool: XmlText = ""
    format: DiskFormat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDisk:
    """A new volume for a domain, which is deleted with the domain."""

    capacity_bytes: Capacity = 0
    pool: XmlText = ""
    volume_name: FileName = ""
    format: DiskFormat = DiskFormat.QCOW2
    base: VolumeRef | None = None

    @model_validator(mode="after")
    def _has_a_size(self) -> "NewDisk":
        if not self.capacity_bytes and self.base is None:
            raise ValueError("capacity_bytes must be greater than 0 where there is no base volume")
        if self.base is not None and self.format is not DiskFormat.QCOW2:
            raise ValueError("a base volume needs format QCOW2")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """A disk of a new domain, on a new or an existing volume."""

    new_volume: NewDisk | None = None
    volume: VolumeRef | None = None
    bus: DiskBus = DiskBus.VIRTIO
    read_only: bool = False

    @model_validator(mode="after")
    def _has_a_source(self) -> "DiskSpec":
        if (self.new_volume is None) == (self.volume is None):
            raise ValueError("set exactly one of new_volume and volume")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CdromSpec:
    """The medium in the optical drive; empty for none."""

    path: AbsolutePath | None = None
    volume: VolumeRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network card."""

    network: Annotated[XmlText, Field(max_length=200)] = "default"
    model: NetworkModel = NetworkModel.VIRTIO
    mac_address: MacAddress = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphicsSpec:
    """The screen."""

    type: GraphicsType = GraphicsType.VNC


DomainLabels = Annotated[Mapping[XmlText, XmlText], AfterValidator(named_labels)]
Title = Annotated[XmlText, Field(max_length=200), spelled(r"[^\n]*", "must be one line")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSpec:
    """The specification of a domain."""

    name: Name
    uuid: Annotated[str, AfterValidator(_uuid)] = ""
    title: Title = ""
    description: XmlText = ""
    memory_bytes: Memory
    vcpus: Annotated[int, Field(ge=1, le=MAX_VCPUS)] = 1
    cdroms: tuple[CdromSpec, ...] = ()
    disks: tuple[DiskSpec, ...] = ()
    diskless: bool = False
    boot_order: tuple[BootDevice, ...] = ()
    firmware: Firmware = Firmware.BIOS
    networks: tuple[NetworkSpec, ...] = ()
    networkless: bool = False
    graphics: GraphicsSpec = field(default_factory=GraphicsSpec)
    video: VideoModel | None = None
    guest_agent: bool = True
    serial_console: bool = True
    autostart: bool = False
    machine: Annotated[str, spelled(r"[A-Za-z0-9._-]*", "must be a machine type, such as q35")] = ""
    cpu_mode: CpuMode | None = None
    labels: DomainLabels = field(default_factory=dict)
    lifetime: Lifetime = Lifetime.PERSISTENT
    deletion_protection: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> "DomainSpec":
        if self.diskless and self.disks:
            raise ValueError("diskless and disks exclude each other")
        if self.networkless and self.networks:
            raise ValueError("networkless and networks exclude each other")
        if len(set(self.boot_order)) != len(self.boot_order):
            raise ValueError("boot_order names a device twice")
        if self.autostart and self.lifetime is Lifetime.TRANSIENT:
            raise ValueError("a TRANSIENT domain cannot have autostart")
        if self.deletion_protection and self.lifetime is Lifetime.TRANSIENT:
            raise ValueError("a TRANSIENT domain cannot have deletion_protection")
        return self

    @property
    def effective_disks(self) -> tuple[DiskSpec, ...]:
        """The disks; the default one if the specification names none."""
        if self.disks or self.diskless:
            return self.disks
        return (DiskSpec(new_volume=NewDisk(capacity_bytes=DEFAULT_DISK_BYTES)),)

    @property
    def effective_networks(self) -> tuple[NetworkSpec, ...]:
        """The network cards; the default one if the specification names none."""
        return self.networks if self.networks or self.networkless else (NetworkSpec(),)

    @property
    def effective_boot_order(self) -> tuple[BootDevice, ...]:
        """The boot order; by default the disk, then the medium, otherwise the network.

        Firmware skips an empty disk, so that the installer on the medium runs first, and not
        again after the installation.
        """
        if self.boot_order:
            return self.boot_order
        order = [BootDevice.DISK] if self.effective_disks else []
        order += [BootDevice.CDROM] if self.cdroms else []
        if not order and self.effective_networks:
            order = [BootDevice.NETWORK]
        return tuple(order)

    @property
    def boot_cdrom(self) -> int:
        """The index of the optical drive to boot from: the first with a medium, else the first."""
        filled = (index for index, drive in enumerate(self.cdroms) if drive != CdromSpec())
        return next(filled, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk of an existing domain."""

    target: str
    device: DiskDevice = DiskDevice.DISK
    bus: DiskBus | None = None
    format: DiskFormat | None = None
    path: str = ""
    volume: VolumeRef | None = None
    capacity_bytes: int = 0
    allocation_bytes: int = 0
    read_only: bool = False
    owned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface:
    """A network card of an existing domain."""

    network: str = ""
    mac_address: str = ""
    model: str = ""
    host_device: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphics:
    """The screen of a domain; `port` is 0 while the domain does not run."""

    type: GraphicsType
    listen: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The domain part of a resource. The contract defines the fields of a SUMMARY.

    `spec` is None in a SUMMARY, and where the domain's XML is unreadable.
    """

    spec: DomainSpec | None = None
    spec_omits: tuple[str, ...] = ()
    memory_bytes: int
    max_memory_bytes: int
    vcpus: int
    autostart: bool = False
    virt_type: VirtType | None = None
    machine: str = ""
    disks: tuple[Disk, ...] = ()
    networks: tuple[NetworkInterface, ...] = ()
    graphics: Graphics | None = None
    guest_agent_connected: bool = False
    has_saved_state: bool = False
    snapshot_count: int = 0
    runtime_id: int = 0

    @property
    def charge(self) -> Charge:
        """What the domain counts for in quotas."""
        # The balloon is in the hands of the guest, which may take the rest at any moment.
        return Charge(cpus=self.vcpus, memory_bytes=self.max_memory_bytes)
