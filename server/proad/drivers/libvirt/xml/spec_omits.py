"""What a domain's XML has beyond a `DomainSpec`, and beyond what libvirt adds by itself. Pure.

The table has what `domain_xml` writes, and what libvirt 9.0 to 12.8 adds to that at the definition.
Everything else is somebody's setting, which a domain that is made from the specification would lack.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lxml import etree

from proad.drivers.libvirt.serial_log import is_ours
from proad.drivers.libvirt.xml.domain_view import AGENT_CHANNEL
from proad.drivers.libvirt.xml.metadata import NAMESPACE

_ROOT = "/domain"
# Hostile XML has as many kinds of element as its size allows.
_MOST = 200
_LONGEST = 255

# The permitted values of an attribute; None: any.
_Values = frozenset[str] | None


class _Form(NamedTuple):
    """A form of an element that is no omission: its attributes, and its text."""

    attributes: Mapping[str, _Values]
    text: frozenset[str] | None = None

    def misfits(self, element: etree._Element, path: str) -> list[str]:
        """Return the paths of what does not have this form."""
        found = [
            f"{path}/@{etree.QName(name).localname}"
            for name, value in element.attrib.items()
            if (values := self.attributes.get(str(name), frozenset())) is not None
            and value not in values
        ]
        if self.text is not None and (element.text or "").strip() not in self.text:
            found.append(path)
        return found


def _form(text: str | None = None, /, **attributes: str | None) -> _Form:
    """Return a form; the values of an attribute have blanks between them, None is any."""
    return _Form(
        {
            name.rstrip("_"): None if values is None else frozenset(values.split(" "))
            for name, values in attributes.items()
        },
        None if text is None else frozenset({text}),
    )


_PLAIN = (_form(),)

_TIMERS = (
    _form(name="rtc", tickpolicy="catchup"),
    _form(name="pit", tickpolicy="delay"),
    _form(name="hpet", present="no"),
)
_CONTROLLERS = (
    _form(type="pci", index=None, model="pci-root pcie-root pcie-root-port pcie-to-pci-bridge"),
    _form(type="sata virtio-serial ide fdc", index=None),
    _form(type="ide", index=None, model="piix3 piix4"),
    _form(
        type="usb",
        index=None,
        model="piix3-uhci piix4-uhci qemu-xhci ich9-ehci1 ich9-uhci1 ich9-uhci2 ich9-uhci3",
    ),
    _form(type="scsi", index=None, model="virtio-scsi"),
)
_VIDEOS = (
    _form(type="none"),
    _form(type="vga", vram="16384", heads="1", primary="yes"),
    _form(type="virtio", heads="1", primary="yes"),
    _form(type="qxl", ram="65536", vram="65536", vgamem="16384", heads="1", primary="yes"),
)

_FORMS: Mapping[str, Sequence[_Form]] = {
    f"{_ROOT}/{path}": forms
    for path, forms in {
        "name": _PLAIN,
        "uuid": _PLAIN,
        "title": _PLAIN,
        "description": _PLAIN,
        "metadata": _PLAIN,
        "memory": (_form(unit=None),),
        "currentMemory": (_form(unit=None),),
        "vcpu": (_form(placement="static", current=None),),
        "resource": _PLAIN,
        "resource/partition": (_form("/machine"),),
        "os": (_form(firmware="efi bios"),),
        "os/type": (_form("hvm", arch=None, machine=None),),
        "os/boot": (_form(dev="hd cdrom network"),),
        # libvirt's choice for firmware='efi'; `spec_view` reports them otherwise.
        "os/firmware": _PLAIN,
        "os/firmware/feature": (_form(enabled=None, name=None),),
        "os/loader": (_form(readonly=None, secure=None, type=None, format="raw", stateless="no"),),
        "os/nvram": (_form(template=None, templateFormat="raw", format="raw"),),
        "features": _PLAIN,
        "features/acpi": _PLAIN,
        "features/apic": _PLAIN,
        "features/gic": (_form(version=None),),
        "features/smm": (_form(state="on"),),
        "clock": (_form(offset="utc"),),
        "clock/timer": _TIMERS,
        "on_poweroff": (_form("destroy"),),
        "on_reboot": (_form("restart"),),
        "on_crash": (_form("destroy"),),
        # The XML of a transient domain is that of its run.
        "seclabel": (_form(type="dynamic", model=None, relabel="yes"),),
        "seclabel/label": _PLAIN,
        "seclabel/imagelabel": _PLAIN,
        "devices": _PLAIN,
        "devices/emulator": _PLAIN,
        "devices/disk": (_form(type="file block volume", device="disk cdrom"),),
        "devices/disk/driver": (_form(name="qemu", type="qcow2 raw"),),
        "devices/disk/source": (_form(file=None, dev=None, pool=None, volume=None, index=None),),
        "devices/disk/source/seclabel": (_form(model="dac", relabel="no"),),
        "devices/disk/target": (_form(dev=None, bus="virtio sata scsi"),),
        "devices/disk/readonly": _PLAIN,
        "devices/disk/boot": (_form(order=None),),
        "devices/controller": _CONTROLLERS,
        "devices/controller/model": (_form(name=None),),
        "devices/controller/target": (_form(chassis=None, port=None),),
        "devices/controller/master": (_form(startport=None),),
        "devices/interface": (_form(type="network"),),
        "devices/interface/mac": (_form(address=None),),
        "devices/interface/source": (_form(network=None),),
        "devices/interface/model": (_form(type="virtio e1000e rtl8139"),),
        "devices/interface/boot": (_form(order=None),),
        "devices/serial": (_form(type="pty"),),
        "devices/serial/target": (_form(type=None, port="0"),),
        "devices/serial/target/model": (_form(name=None),),
        "devices/console": (_form(type="pty"),),
        "devices/console/target": (_form(type="serial", port="0"),),
        "devices/channel": (_form(type="unix"),),
        "devices/channel/source": (_form(mode="bind", path=None),),
        "devices/channel/target": (_form(type="virtio", name=AGENT_CHANNEL),),
        "devices/input": (
            _form(type="tablet", bus="usb"),
            _form(type="mouse keyboard", bus="ps2"),
        ),
        "devices/graphics": (
            _form(type="vnc", port="-1", autoport="yes no", listen="127.0.0.1"),
        ),
        "devices/graphics/listen": (
            _form(type="none"),
            _form(type="address", address="127.0.0.1"),
        ),
        "devices/audio": (_form(id="1", type="none"),),
        "devices/video": _PLAIN,
        "devices/video/model": _VIDEOS,
        "devices/memballoon": (_form(model="virtio"),),
        "devices/rng": (_form(model="virtio"),),
        "devices/rng/backend": (_form("/dev/urandom", model="random"),),
    }.items()
}  # fmt: skip

# Elements that a specification makes at most once.
_ONCE = frozenset(
    f"{_ROOT}/devices/{tag}"
    for tag in ("serial", "console", "channel", "graphics", "audio", "video", "memballoon", "rng")
)
# Not looked into: libvirt's own, or read elsewhere.
_SKIPPED = frozenset(
    {f"{_ROOT}/cpu", f"{_ROOT}/devices/disk/backingStore", f"{{{NAMESPACE}}}domain"}
)


def omissions(root: etree._Element) -> Iterator[str]:
    """Yield the paths of what no specification makes, each once."""
    seen: set[str] = set()
    for path in _within(root, _ROOT):
        short = path[:_LONGEST]
        if short not in seen:
            seen.add(short)
            yield short
            if len(seen) == _MOST:
                return


def _within(parent: etree._Element, place: str) -> Iterator[str]:
    met = set[str]()
    for child in parent:
        if not isinstance(child.tag, str) or child.tag in _SKIPPED:
            continue
        path = f"{place}/{_name(child)}"
        if path in _SKIPPED or _is_address(child, place) or is_ours(child):
            continue
        if path not in _FORMS or (path in _ONCE and path in met):
            yield path
            continue
        met.add(path)
        yield from _misfits(child, path)
        yield from _within(child, path)


def _misfits(element: etree._Element, path: str) -> list[str]:
    forms = _FORMS[path]
    found = min((form.misfits(element, path) for form in forms), key=len)
    return found if len(forms) == 1 or not found else [path]


def _name(element: etree._Element) -> str:
    name = etree.QName(element).localname
    return f"{element.prefix}:{name}" if element.prefix else name


def _is_address(element: etree._Element, place: str) -> bool:
    """Return whether an element is where libvirt put a device, or its name for the device."""
    if not place.startswith(f"{_ROOT}/devices/"):
        return False
    alias = element.tag == "alias" and not element.get("name", "").startswith("ua-")
    return alias or element.tag == "address"
