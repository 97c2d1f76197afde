"""Rules of values that name something of the host: files, programs, addresses, sizes."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath

from lxml import etree

from proad.policy.bounds import is_listed
from proad.policy.domains.xml.grammar import DocumentContext, Fault
from proad.policy.domains.xml.values import Number, shown

# Absolute, with nothing between its slashes that is empty, "." or "..".
_PLAIN = re.compile(r"(/(?!\.{1,2}(/|$))[^/\x00-\x1f\x7f-\x9f]+)+")
_UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "k": 2**10,
    "KiB": 2**10,
    "M": 2**20,
    "MiB": 2**20,
    "G": 2**30,
    "GiB": 2**30,
    "T": 2**40,
    "TiB": 2**40,
}
_MOST_MEMORY = 2**50
_NUMBER = Number(most=_MOST_MEMORY)


def _not_plain(text: str) -> Fault | None:
    """Return the fault of a text that is not a plain absolute path."""
    if _PLAIN.fullmatch(text):
        return None
    return Fault("value not listed", "", f"is {shown(text)}, not a plain absolute path")


def fault_of_pool(pool: str, around: DocumentContext) -> Fault | None:
    """Return the fault of a storage pool that the profile does not list."""
    if is_listed(pool, around.profile.allowed_pools):
        return None
    message = f"the storage pool {shown(pool)} is not one of those that are allowed"
    return Fault("pool not listed", "allowed_pools", message)


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A file that is a volume of an allowed pool, or below an allowed folder.

    Attributes:
        medium: whether the folders of installation media are allowed, too.
    """

    medium: bool = False

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of a file elsewhere."""
        if fault := _not_plain(text):
            return fault
        path = PurePosixPath(text)
        roots = around.profile.disk_roots
        if self.medium:
            roots = (*roots, *around.facts.media_dirs)
        if any(path.is_relative_to(root) and path != PurePosixPath(root) for root in roots):
            return None
        pool = around.facts.pools.get(str(path.parent))
        if pool is not None:
            return fault_of_pool(pool, around)
        message = f"the file {shown(text)} is in no storage pool and below no allowed folder"
        return Fault("disk file not listed", "disk_roots", message)


@dataclass(frozen=True, slots=True)
class PoolDevice:
    """A block device that is a volume of an allowed pool."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another device."""
        if fault := _not_plain(text):
            return fault
        if around.profile.allow_device_disks:
            return None
        pool = around.facts.volumes.get(text)
        if pool is not None:
            return fault_of_pool(pool, around)
        message = f"the device {shown(text)} of the host is no volume of a storage pool"
        return Fault("device disk", "allow_device_disks", message)


@dataclass(frozen=True, slots=True)
class DomainType:
    """A type of domain that the host offers."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another type."""
        if text in around.facts.types:
            return None
        known = ", ".join(sorted(around.facts.types))
        return Fault("value not listed", "", f"is {shown(text)}, not one of {known}")


@dataclass(frozen=True, slots=True)
class Emulator:
    """A program that runs a domain: libvirt's own, or an allowed one."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another program."""
        if fault := _not_plain(text):
            return fault
        if text in around.facts.emulators or is_listed(text, around.profile.allowed_emulators):
            return None
        message = (
            f"the emulator {shown(text)} is not libvirt's own, which comes by itself "
            "where none is named"
        )
        return Fault("emulator", "allowed_emulators", message)


@dataclass(frozen=True, slots=True)
class FirmwareFile:
    """A file of the host's listed firmware."""

    templates: bool = False

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another file."""
        if fault := _not_plain(text):
            return fault
        listed = around.facts.variables if self.templates else around.facts.firmware
        if text in listed or around.profile.allow_direct_boot:
            return None
        message = f"the file {shown(text)} is not firmware that the host lists"
        return Fault("firmware not listed", "allow_direct_boot", message)


@dataclass(frozen=True, slots=True)
class VariablesFile:
    """The file of a domain's own UEFI variables, where libvirt and Proa place it."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another file."""
        if fault := _not_plain(text):
            return fault
        path = PurePosixPath(text)
        owner = path.name.rpartition("_VARS.")[0]
        own = around.live or owner in {around.name, around.id}
        if str(path.parent) == around.facts.variables_dir and owner and own:
            return None
        if around.profile.allow_direct_boot:
            return None
        message = f"the file {shown(text)} is not where the UEFI variables of the domain are"
        return Fault("UEFI variables", "allow_direct_boot", message)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address that a screen may listen on."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another address or of a name."""
        try:
            address = ip_address(text)
        except ValueError:
            return Fault("value not listed", "", f"is {shown(text)}, not an address")
        if any(address in network for network in around.profile.display_addresses):
            return None
        message = f"the screen would listen on {shown(text)}"
        return Fault("display address not listed", "display_addresses", message)


@dataclass(frozen=True, slots=True)
class Cpus:
    """A number of virtual processors; libvirtd ends itself over billions of them (libvirt 9)."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of another text, or of more than the profile allows."""
        if fault := Number(1, 65_535).fault(text, around):
            return fault
        most = around.profile.max_cpus
        if not most or int(text) <= most:
            return None
        message = f"{text} virtual processors are more than {most:g}"
        return Fault("too many CPUs", "max_cpus", message)


@dataclass(frozen=True, slots=True)
class Memory:
    """The check of an element with a size in its text and a unit in an attribute."""

    def fault(self, element: etree._Element, around: DocumentContext) -> tuple[str, Fault] | None:
        """Return the fault of another size, or of more than the profile allows."""
        text, unit = element.text or "", element.get("unit", "KiB")
        if unit not in _UNITS:
            return "/@unit", Fault("value not listed", "", f"is {shown(unit)}, not a unit")
        if fault := _NUMBER.fault(text, around):
            return "", fault
        size, most = int(text) * _UNITS[unit], around.profile.max_memory_bytes
        if not 0 < size <= _MOST_MEMORY:
            return "", Fault("value not listed", "", f"is {size} bytes, which is no memory")
        if not most or size <= most:
            return None
        message = f"{size} bytes of memory are more than {most}"
        return "", Fault("too much memory", "max_memory_bytes", message)


@dataclass(frozen=True, slots=True)
class StatedFormat:
    """The check of a disk: what has a source states its format, which is never probed."""

    place: str
    attribute: str = "type"

    def fault(
        self,
        element: etree._Element,
        around: DocumentContext,  # noqa: ARG002 - as Check has it
    ) -> tuple[str, Fault] | None:
        """Return the fault of a disk without a format."""
        if element.find("source") is None:
            return None
        found = element.find(self.place)
        if found is not None and found.get(self.attribute) is not None:
            return None
        message = "the format of the disk is not stated: say raw or qcow2"
        where = "" if found is None else f"/{self.place}"
        return where, Fault("disk format", "", message)
