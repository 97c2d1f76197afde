"""Volumes in storage pools."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import model_validator

from proad.model.checks import Name, XmlText
from proad.model.domain import Capacity, DiskFormat, VolumeRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume. `format` is None for formats other than qcow2 and raw, such as iso.

    A driver leaves `owner` and `read_only` to the core, and gives the id of its record of the
    volume, which callers never see; empty: Proa neither made it nor gave it an owner.
    """

    pool: str
    name: str
    path: str
    format: DiskFormat | None = None
    capacity_bytes: int = 0
    allocation_bytes: int = 0
    base_path: str = ""
    host: str = ""
    owner: str = ""
    read_only: bool = False
    record_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """The specification of a volume."""

    pool: XmlText = ""
    name: Name
    capacity_bytes: Capacity = 0
    format: DiskFormat = DiskFormat.QCOW2
    base: VolumeRef | None = None
    preallocate: bool = False

    @model_validator(mode="after")
    def _has_a_size(self) -> "VolumeSpec":
        if not self.capacity_bytes and self.base is None:
            raise ValueError("capacity_bytes must be greater than 0 where there is no base volume")
        if self.base is not None and self.format is not DiskFormat.QCOW2:
            raise ValueError("a base volume needs format QCOW2")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerNetwork:
    """A network of containers that exists.

    Attributes:
        name: its name, whatever it was asked for by.
        driver: name of its driver.
        is_default: whether it is the engine's own, which containers are on that name none.
    """

    name: str
    driver: str
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerVolume:
    """A volume of containers that exists, with the options of its driver that it was made with."""

    name: str
    driver: str
    options: Mapping[str, str] = field(default_factory=dict)
