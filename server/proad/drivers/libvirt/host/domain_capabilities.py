"""libvirt's domain capabilities, and checks of a specification against them.

libvirt itself refuses many values only at the start of a domain, or without naming the value.
"""

from dataclasses import dataclass
from typing import Self

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import ENGINE, code_of, seek
from proad.drivers.libvirt.host.virt import NOT_OFFERED, HostFacts, is_test
from proad.drivers.libvirt.xml.parser import parse
from proad.errors import CapabilityMissingError, InvalidArgumentError
from proad.model import CpuMode, DomainSpec, Firmware, GraphicsType, VideoModel

_MODES = {
    CpuMode.HOST_PASSTHROUGH: "host-passthrough",
    CpuMode.HOST_MODEL: "host-model",
    CpuMode.MAXIMUM: "maximum",
}


@dataclass(frozen=True, slots=True)
class DomainCapabilities:
    """The `<domainCapabilities>` of one type of machine."""

    root: etree._Element

    @classmethod
    def of(cls, connection: libvirt.virConnect, kind: str, machine: str, arch: str) -> Self | None:
        """Query libvirt; return None if it has no such machine.

        Args:
            connection: to libvirt.
            kind: such as "kvm".
            machine: such as "q35"; empty: libvirt's default.
            arch: such as "x86_64"; empty: the host's.
        """
        try:
            answer = connection.getDomainCapabilities(None, arch or None, machine or None, kind)
        except libvirt.libvirtError as error:
            if code_of(error) not in NOT_OFFERED:
                raise
            return None
        return cls(parse(answer))

    @property
    def machine(self) -> str:
        """The canonical name of the machine."""
        return self.root.findtext("machine", "")

    @property
    def most_vcpus(self) -> int | None:
        """The largest number of processors; None: libvirt does not say."""
        limit: str = self.root.xpath("string(vcpu/@max)")
        return int(limit) if limit.isdecimal() else None

    def values(self, path: str, name: str) -> list[str]:
        """Return the values of an `<enum>`; empty if libvirt does not say."""
        found: list[str] = self.root.xpath(f"{path}/enum[@name=$name]/value/text()", name=name)
        return found

    def has_mode(self, mode: str) -> bool:
        """Return whether a CPU mode is supported; true for a mode that libvirt does not list."""
        return not self.root.xpath("cpu/mode[@name=$mode and @supported='no']", mode=mode)


def check_spec(connection: libvirt.virConnect, spec: DomainSpec, host: HostFacts) -> None:
    """Check a specification against the capabilities of the host.

    Raises:
        InvalidArgumentError: a value is not supported; with its field.
        CapabilityMissingError: libvirt supports no domains of the host's virtualisation type.
    """
    _check_networks(connection, spec)
    if is_test(connection):  # reports nothing and accepts anything
        return
    kind = host.virt_type.lower()
    capabilities = DomainCapabilities.of(connection, kind, spec.machine, host.architecture)
    if (
        capabilities is None
        and spec.machine
        and DomainCapabilities.of(connection, kind, "", host.architecture)
    ):
        raise InvalidArgumentError.of(
            "spec.machine",
            f"is {spec.machine!r}, which QEMU on this host does not have for {kind} domains; "
            "`virsh capabilities` shows those that it has",
        )
    if capabilities is None:
        raise CapabilityMissingError(
            f"{kind} domains on this host", driver=ENGINE, hint="see the setting virt_type"
        )
    check_vcpus(capabilities, spec.vcpus, "spec.vcpus")
    if spec.firmware is Firmware.UEFI and "efi" not in capabilities.values("os", "firmware"):
        raise InvalidArgumentError.of(
            "spec.firmware",
            f"is UEFI, for which the host has no firmware that suits {capabilities.machine}; "
            "install it (on Debian the package ovmf), or choose BIOS or another machine",
        )
    if spec.cpu_mode is not None and not capabilities.has_mode(_MODES[spec.cpu_mode]):
        raise InvalidArgumentError.of(
            "spec.cpu_mode", f"is {spec.cpu_mode}, which {kind} domains on this host cannot have"
        )
    if spec.video not in {None, VideoModel.NONE}:
        _check_value(capabilities, "devices/video", "modelType", str(spec.video), "spec.video")
    if spec.graphics.type is not GraphicsType.NONE:
        _check_value(capabilities, "devices/graphics", "type", "VNC", "spec.graphics.type")
    for index, disk in enumerate(spec.disks):
        _check_value(capabilities, "devices/disk", "bus", str(disk.bus), f"spec.disks[{index}].bus")


def check_vcpus(capabilities: DomainCapabilities, vcpus: int, field: str) -> None:
    """Raise InvalidArgumentError if the machine does not support so many processors."""
    if capabilities.most_vcpus is not None and vcpus > capabilities.most_vcpus:
        raise InvalidArgumentError.of(
            field,
            f"is {vcpus}, but {capabilities.machine} has room for {capabilities.most_vcpus} at most",
        )


def capabilities_for(domain: libvirt.virDomain) -> DomainCapabilities | None:
    """Return the capabilities for the next start of a domain; None: libvirt does not say."""
    connection = domain.connect()
    if is_test(connection):
        return None
    root = parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    machine: str = root.xpath("string(os/type/@machine)")
    arch: str = root.xpath("string(os/type/@arch)")
    return DomainCapabilities.of(connection, root.get("type", ""), machine, arch)


def _check_value(
    capabilities: DomainCapabilities, path: str, name: str, value: str, field: str
) -> None:
    offered = capabilities.values(path, name)
    if offered and value.lower() not in offered:
        raise InvalidArgumentError.of(
            field, f"is {value}, which {capabilities.machine} on this host cannot have"
        )


def _check_networks(connection: libvirt.virConnect, spec: DomainSpec) -> None:
    for index, card in enumerate(spec.effective_networks):
        try:
            seek(connection.networkLookupByName, card.network)
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_NO_NETWORK:
                raise
        else:
            continue
        if spec.networks:
            raise InvalidArgumentError.of(
                f"spec.networks[{index}].network",
                f"is {card.network!r}, a network that the host does not have; "
                "`virsh net-list --all` shows those that it has",
            )
        raise InvalidArgumentError.of(
            "spec.networks",
            f"are not given, and the host does not have the network {card.network!r} that a "
            "domain gets by default; name another one, or set networkless",
        )
