"""The imitated engine's domain XML: the few elements that it keeps of libvirt's."""

from lxml import etree
from lxml.builder import E

from proad.domain_parser import invalid_xml, parse_domain
from proad.drivers.domain_enums import graphics_type, member, preferred_graphics
from proad.drivers.memory.engine import now
from proad.model import (
    CdromSpec,
    Disk,
    DiskBus,
    DiskDevice,
    DiskFormat,
    Domain,
    DomainSpec,
    DomainXml,
    Graphics,
    GraphicsSpec,
    GraphicsType,
    NetworkInterface,
    NetworkModel,
    NetworkSpec,
    Resource,
    ResourceKind,
    ResourceState,
    StateDetail,
    StateReason,
    VirtType,
)

MACHINE = "memory"
_NAMESPACE = "urn:proa:memory"
_DEVICES = frozenset({"disk", "cdrom", "floppy", "lun"})
_UNITS = {
    "b": 1, "bytes": 1, "k": 2**10, "KiB": 2**10, "M": 2**20, "MiB": 2**20, "G": 2**30,
    "GiB": 2**30, "T": 2**40, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip


def written(resource: Resource) -> str:
    """Return a domain as XML."""
    domain = resource.domain
    assert domain is not None  # noqa: S101 - callers have looked
    assert domain.spec is not None  # noqa: S101 - every domain here has one
    label = f"{{{_NAMESPACE}}}label"
    root = E.domain(
        E.name(resource.name),
        E.uuid(resource.id),
        *([E.title(domain.spec.title)] if domain.spec.title else []),
        *([E.description(domain.spec.description)] if domain.spec.description else []),
        E.metadata(
            *(etree.Element(label, key=k, value=v) for k, v in sorted(resource.labels.items()))
        ),
        E.memory(str(domain.max_memory_bytes // 1024), unit="KiB"),
        E.currentMemory(str(domain.memory_bytes // 1024), unit="KiB"),
        E.vcpu(str(domain.vcpus)),
        E.os(E.type("hvm", machine=domain.machine)),
        E.devices(
            *(_disk(disk) for disk in domain.disks),
            *(_interface(interface) for interface in domain.networks),
            *([_screen(domain.graphics)] if domain.graphics is not None else []),
        ),
        type="test",
    )
    if domain.runtime_id:
        root.set("id", str(domain.runtime_id))
    etree.cleanup_namespaces(root, top_nsmap={"proa": _NAMESPACE})
    text: str = etree.tostring(root, encoding="unicode", pretty_print=True)
    return text


def _disk(disk: Disk) -> etree._Element:
    element = E.disk(
        E.driver(type=(disk.format or DiskFormat.RAW).lower()),
        E.target(dev=disk.target, bus=(disk.bus or DiskBus.OTHER).lower()),
        type="file",
        device=disk.device.lower(),
    )
    if disk.path:
        element.insert(0, E.source(file=disk.path))
    if disk.read_only:
        element.append(E.readonly())
    return element


def _screen(graphics: Graphics) -> etree._Element:
    protocol = graphics.type.partition("_")[0].lower()
    if not graphics.listen:
        return E.graphics(E.listen(type="none"), type=protocol)
    return E.graphics(type=protocol, listen=graphics.listen)


def _interface(interface: NetworkInterface) -> etree._Element:
    parts = (
        ("mac", "address", interface.mac_address),
        ("source", "network", interface.network),
        ("model", "type", interface.model),
    )
    stated = (E(tag, {name: value}) for tag, name, value in parts if value)
    return E.interface(*stated, type="network")


def parsed(source: DomainXml) -> Resource:
    """Read a domain out of XML. Raises InvalidArgumentError, field "xml"."""
    given = parse_domain(source.xml)
    root = given.root
    most = _memory(root, "memory")
    if not most:
        raise invalid_xml("has no <memory>")
    disks = tuple(_parsed_disk(disk) for disk in root.iterfind("devices/disk"))
    networks = tuple(
        NetworkInterface(
            network=_attribute(each, "source", "network"),
            mac_address=_attribute(each, "mac", "address"),
            model=_attribute(each, "model", "type"),
        )
        for each in root.iterfind("devices/interface")
    )
    graphics = preferred_graphics(
        [_parsed_screen(each) for each in root.iterfind("devices/graphics")]
    )
    memory, vcpus = _memory(root, "currentMemory") or most, _number(root, "vcpu") or 1
    spec = DomainSpec(
        name=given.name,
        uuid=given.id,
        title=root.findtext("title", "").strip(),
        description=root.findtext("description", "").strip(),
        memory_bytes=memory,
        vcpus=vcpus,
        cdroms=tuple(CdromSpec(path=each.path or None) for each in disks if _is_drive(each)),
        diskless=True,
        networks=tuple(
            NetworkSpec(
                network=card.network,
                model=member(NetworkModel, card.model),
                mac_address=card.mac_address,
            )
            for card in networks
        ),
        networkless=not networks,
        graphics=GraphicsSpec(type=graphics.type if graphics else GraphicsType.NONE),
        machine=MACHINE,
    )
    return Resource(
        id=given.id,
        kind=ResourceKind.DOMAIN,
        name=given.name,
        state=ResourceState.STOPPED,
        state_detail=StateDetail(reason=StateReason.NEVER_STARTED),
        labels={
            label.get("key", ""): label.get("value", "")
            for label in root.iterfind(f"metadata/{{{_NAMESPACE}}}label")
        },
        create_time=now(),
        lifetime=source.lifetime,
        domain=Domain(
            spec=spec,
            # Of a disk, the XML has the path alone.
            spec_omits=() if all(map(_is_drive, disks)) else ("/domain/devices/disk",),
            memory_bytes=memory,
            max_memory_bytes=most,
            vcpus=vcpus,
            virt_type=VirtType.TEST,
            machine=MACHINE,
            disks=disks,
            networks=networks,
            graphics=graphics,
        ),
    )


def _is_drive(disk: Disk) -> bool:
    return disk.device is DiskDevice.CDROM


def _parsed_disk(element: etree._Element) -> Disk:
    device = element.get("device", "disk")
    if device not in _DEVICES:
        raise invalid_xml(f"has a <disk> with the device {device!r}")
    return Disk(
        target=_attribute(element, "target", "dev"),
        device=member(DiskDevice, device),
        bus=member(DiskBus, _attribute(element, "target", "bus")),
        format=member(DiskFormat, _attribute(element, "driver", "type"), DiskFormat.RAW),
        path=_attribute(element, "source", "file"),
        read_only=element.find("readonly") is not None,
    )


def _parsed_screen(element: etree._Element) -> Graphics:
    kind = _attribute(element, "listen", "type")
    listen = element.get("listen") or _attribute(element, "listen", "address")
    return Graphics(type=graphics_type(element.get("type", ""), kind, listen), listen=listen)


def _attribute(element: etree._Element, child: str, name: str) -> str:
    found = element.find(child)
    return "" if found is None else found.get(name, "")


def _memory(root: etree._Element, tag: str) -> int:
    element = root.find(tag)
    unit = "KiB" if element is None else element.get("unit", "KiB")
    if unit not in _UNITS:
        raise invalid_xml(f"has a <{tag}> with the unit {unit!r}")
    return _number(root, tag) * _UNITS[unit]


def _number(root: etree._Element, tag: str) -> int:
    text = root.findtext(tag, "0").strip()
    if not (text.isascii() and text.isdigit()):
        raise invalid_xml(f"has a <{tag}> that is no number")
    return int(text)
