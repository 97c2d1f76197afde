"""What libvirt's words are shown as: what they say, and never the contract's defaults."""

import pytest

from proad.drivers.libvirt.xml.domain_view import boot_order_of, domain_of, firmware_of
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.memory.domain_xml import parsed
from proad.model import (
    BootDevice,
    DiskBus,
    DiskDevice,
    DiskFormat,
    DomainXml,
    Firmware,
    Graphics,
    GraphicsType,
    VirtType,
)


def domain(devices: str = "", *, boot: str = "<type arch='x86_64'>hvm</type>", kind: str = "kvm"):
    return domain_of(
        f"<domain type='{kind}'><name>a</name><memory>65536</memory>"
        f"<os>{boot}</os><devices>{devices}</devices></domain>"
    )


def boot_order(devices: str = "", *, boot: str = ""):
    return boot_order_of(Node.of(f"<domain><os>{boot}</os><devices>{devices}</devices></domain>"))


def disk(*, device: str = "disk", bus: str = "virtio", driver: str = "<driver type='qcow2'/>"):
    shown = domain(f"<disk device='{device}'>{driver}<target dev='x' bus='{bus}'/></disk>")
    return shown.disks[0]


@pytest.mark.parametrize(
    ("bus", "shown"),
    [(each.lower(), each) for each in DiskBus if each is not DiskBus.OTHER]
    + [("sd", DiskBus.OTHER), ("xen", DiskBus.OTHER), ("", DiskBus.OTHER)],
)
def test_domain_of_a_bus_is_what_libvirt_says(bus: str, shown: DiskBus):
    assert disk(bus=bus).bus is shown


@pytest.mark.parametrize(
    ("driver", "shown"),
    [
        ("<driver name='qemu' type='qcow2'/>", DiskFormat.QCOW2),
        ("<driver type='raw'/>", DiskFormat.RAW),
        ("<driver type='vmdk'/>", DiskFormat.OTHER),
        ("<driver type='other'/>", DiskFormat.OTHER),
        ("<driver name='qemu' cache='none'/>", DiskFormat.RAW),
        ("", DiskFormat.RAW),
    ],
)
def test_domain_of_a_format_is_what_libvirt_takes_the_disk_for(driver: str, shown: DiskFormat):
    assert disk(driver=driver).format is shown


def test_domain_of_a_lun_is_no_ordinary_disk():
    assert disk(device="lun").device is DiskDevice.OTHER
    assert disk(device="floppy").device is DiskDevice.FLOPPY
    assert domain("<disk><target dev='vda'/></disk>").disks[0].device is DiskDevice.DISK


VNC = "<graphics type='vnc' port='5907' listen='127.0.0.1'/>"
SPICE = "<graphics type='spice' tlsPort='5908'><listen type='address' address='::1'/></graphics>"
HEADLESS = "<graphics type='egl-headless'/>"
NO_SCREEN = "<graphics type='none'/>"


@pytest.mark.parametrize(
    ("devices", "shown"),
    [
        ("", None),
        (SPICE, Graphics(type=GraphicsType.SPICE, listen="::1")),
        (HEADLESS, Graphics(type=GraphicsType.OTHER)),
        (NO_SCREEN, Graphics(type=GraphicsType.NONE)),
        (NO_SCREEN + HEADLESS, Graphics(type=GraphicsType.OTHER)),
        (HEADLESS + SPICE, Graphics(type=GraphicsType.SPICE, listen="::1")),
        (
            HEADLESS + SPICE + VNC + VNC.replace("5907", "5909"),
            Graphics(type=GraphicsType.VNC_LOOPBACK, listen="127.0.0.1", port=5907),
        ),
        (
            "<graphics type='vnc'><listen type='none'/></graphics>",
            Graphics(type=GraphicsType.VNC),
        ),
        (
            VNC.replace("127.0.0.1", "0.0.0.0"),
            Graphics(type=GraphicsType.VNC_OTHER, listen="0.0.0.0", port=5907),
        ),
        (
            "<graphics type='vnc'><listen type='socket' socket='/x'/></graphics>",
            Graphics(type=GraphicsType.VNC_OTHER),
        ),
    ],
)
def test_domain_of_several_screens_shows_the_one_that_is_reached_best(devices, shown):
    assert domain(devices).graphics == shown


def test_domain_of_boot_order_names_what_it_has_no_value_for():
    assert boot_order(
        "<disk device='lun'><boot order='3'/></disk>"
        "<interface><boot order='2'/></interface>"
        "<redirdev bus='usb'><boot order='4'/></redirdev>"
        "<hostdev><boot order='1'/></hostdev>"
    ) == (BootDevice.OTHER, BootDevice.NETWORK, BootDevice.DISK)
    boot = "<type arch='x86_64'>hvm</type><boot dev='fd'/><boot dev='hd'/>"
    assert boot_order(boot=boot) == (BootDevice.OTHER, BootDevice.DISK)


@pytest.mark.parametrize(
    ("boot", "shown"),
    [
        ("<type arch='x86_64'>hvm</type>", Firmware.BIOS),
        ("<type arch='i686'>hvm</type>", Firmware.BIOS),
        ("<type arch='aarch64'>hvm</type>", Firmware.BIOS),
        ("<type arch='x86_64'>hvm</type><loader/>", Firmware.OTHER),
        ("<type arch='x86_64'>hvm</type><loader type='pflash'>/x</loader>", Firmware.UEFI),
        ("<type arch='x86_64'>hvm</type><loader type='rom'>/x</loader>", Firmware.OTHER),
        ("<type arch='x86_64'>hvm</type><loader>/x</loader>", Firmware.OTHER),
    ],
)
def test_firmware_of_os_is_told_where_it_can_be(boot: str, shown: Firmware):
    assert firmware_of(Node.of(f"<os>{boot}</os>")) is shown


def test_domain_of_a_kind_of_machine_that_is_unknown_is_told():
    assert domain(kind="xen").virt_type is VirtType.OTHER
    assert domain(kind="qemu").virt_type is VirtType.QEMU


def test_parsed_of_the_imitated_engine_shows_the_same_words():
    (shown,) = (
        parsed(
            DomainXml(
                xml="<domain type='test'><name>a</name><memory>65536</memory><devices>"
                "<disk device='lun'><driver type='vmdk'/><target dev='hda' bus='ide'/></disk>"
                f"{HEADLESS}{SPICE}</devices></domain>"
            )
        ).domain,
    )

    assert shown is not None
    assert shown.graphics is not None
    assert shown.graphics.type is GraphicsType.SPICE
    assert [(each.device, each.bus, each.format) for each in shown.disks] == [
        (DiskDevice.OTHER, DiskBus.IDE, DiskFormat.OTHER)
    ]
