"""A hundred externally defined domains: every bus, format, screen, boot order and text."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from xml.sax.saxutils import escape

UEFI_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
UEFI_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A domain to be defined.

    Attributes:
        about: what is odd about it, for people.
        name: its name; empty: after its number.
        machine: its machine type.
        os: the rest of `<os>`, and its attributes.
        size: memory and processors.
        top: other elements of `<domain>`.
        devices: its devices.
        starts: whether it is to be started.
    """

    about: str
    name: str = ""
    machine: str = "q35"
    boot: str = ""
    firmware: str = ""
    size: str = "<memory unit='MiB'>64</memory>"
    top: str = ""
    devices: str = ""
    starts: bool = False

    def xml(self, number: int) -> str:
        name = escape(self.name or f"proa-test-{number}")
        return (
            f"<domain type='qemu'><name>{name}</name>{self.size}"
            f"<os{self.firmware}><type arch='x86_64' machine='{self.machine}'>hvm</type>"
            f"{self.boot}</os><features><acpi/></features>{self.top}"
            f"<devices>{self.devices}</devices></domain>"
        )


def disk(
    target: str,
    bus: str,
    source: str,
    *,
    form: str = "qcow2",
    kind: str = "file",
    device: str = "disk",
    inside: str = "",
) -> str:
    driver = f"<driver name='qemu' type='{form}'/>" if form else ""
    return (
        f"<disk type='{kind}' device='{device}'>{driver}{source}"
        f"<target dev='{target}' bus='{bus}'/>{inside}</disk>"
    )


def file(path: str) -> str:
    return f"<source file='{path}'/>"


def odd_domains(folder: Path) -> Iterator[Odd]:
    """Yield the domains; `folder` is the folder of a pool with the volumes a.qcow2 and b.raw."""
    yield from _disks(folder)
    yield from _sources(folder)
    yield from _screens()
    yield from _boots(folder)
    yield from _sizes()
    yield from _firmware()
    yield from _texts()
    yield from _interfaces()


def _disks(folder: Path) -> Iterator[Odd]:
    buses = (("virtio", "vda"), ("sata", "sda"), ("scsi", "sda"), ("usb", "sda"))
    for (bus, target), form in product(buses, ("raw", "qcow2", "vmdk", "")):
        devices = disk(target, bus, file(f"/var/tmp/none.{form}"), form=form)
        yield Odd(about=f"{bus} {form}", devices=devices)
    for form in ("vdi", "vpc", "qed", "qcow", "bochs", "cloop", "dmg"):
        devices = disk("vda", "virtio", file("/var/tmp/none"), form=form)
        yield Odd(about=form, devices=devices)
    ide = disk("hda", "ide", file("/var/tmp/none"))
    yield Odd(about="ide", machine="pc", devices=ide)
    empty = disk("hdc", "ide", "", form="", device="cdrom")
    yield Odd(about="empty ide drive", machine="pc", devices=ide + empty)
    for source, form in (("", ""), (file("/var/tmp/none.img"), "raw")):
        floppy = disk("fda", "fdc", source, form=form, device="floppy")
        yield Odd(about="floppy", machine="pc", devices=floppy)
    yield Odd(about="sata drive", devices=disk("sda", "sata", "", form="raw", device="cdrom"))
    for inside in ("<readonly/>", "<shareable/>", "<serial>x</serial>"):
        devices = disk("vda", "virtio", file(f"{folder}/b.raw"), form="raw", inside=inside)
        yield Odd(about=inside, devices=devices)
    many = "".join(
        disk(f"vd{letter}", "virtio", file(f"/var/tmp/none-{letter}")) for letter in "abcdefghij"
    )
    yield Odd(about="ten disks", devices=many)


def _sources(folder: Path) -> Iterator[Odd]:
    volume = "<source pool='odd' volume='a.qcow2'/>"
    yield Odd(about="a volume by name", devices=disk("vda", "virtio", volume, kind="volume"))
    yield Odd(about="a volume by path", devices=disk("vda", "virtio", file(f"{folder}/a.qcow2")))
    gone = "<source pool='odd' volume='gone'/>"
    yield Odd(about="a volume that is gone", devices=disk("vda", "virtio", gone, kind="volume"))
    block = "<source dev='/dev/none'/>"
    yield Odd(
        about="a block device", devices=disk("vda", "virtio", block, form="raw", kind="block")
    )
    lun = disk("sda", "scsi", block, form="raw", kind="block", device="lun")
    controller = "<controller type='scsi' model='virtio-scsi'/>"
    yield Odd(about="a LUN", devices=controller + lun)
    for protocol, name in (("nbd", "export"), ("iscsi", "iqn.2020-01.example:x/1"), ("rbd", "p/i")):
        source = f"<source protocol='{protocol}' name='{name}'><host name='127.0.0.1'/></source>"
        devices = disk("vda", "virtio", source, form="raw", kind="network")
        yield Odd(about=protocol, devices=devices)
    http = "<source protocol='http' name='/x.iso'><host name='127.0.0.1' port='80'/></source>"
    devices = disk("sda", "sata", http, form="raw", kind="network", device="cdrom")
    yield Odd(about="a medium over http", devices=devices)
    vvfat = disk(
        "vda", "virtio", "<source dir='/var/tmp'/>", form="fat", kind="dir", inside="<readonly/>"
    )
    yield Odd(about="a folder", devices=vvfat)
    yield Odd(
        about="a path with everything",
        devices=disk("vda", "virtio", file("/var/tmp/no ne &amp; &quot;ü&quot; [1].qcow2")),
    )


def _screens() -> Iterator[Odd]:
    vnc = "<graphics type='vnc' port='-1' autoport='yes'/>"
    fixed = "<graphics type='vnc' port='5999' autoport='no' listen='127.0.0.1'/>"
    socket = "<graphics type='vnc'><listen type='socket' socket='/var/tmp/none.sock'/></graphics>"
    nowhere = "<graphics type='vnc'><listen type='none'/></graphics>"
    public = "<graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>"
    spice = "<graphics type='spice' autoport='yes' listen='::1'/>"
    on_port = "<graphics type='spice' port='5996' autoport='no'/>"
    bare = "<graphics type='egl-headless'/>"
    sdl = "<graphics type='sdl' display=':0'/>"
    screens = {
        "vnc": vnc,
        "vnc on a port": fixed,
        "vnc on a socket": socket,
        "vnc without a port": nowhere,
        "vnc on all addresses": public,
        "spice": spice,
        "spice on a port": on_port,
        "egl-headless": bare,
        "sdl": sdl,
        "spice, then vnc": spice + vnc,
        "vnc, then spice": fixed + spice,
        "egl-headless, then spice": bare + spice,
        "two of vnc": fixed + fixed.replace("5999", "5997"),
    }
    for about, graphics in screens.items():
        video = "<video><model type='virtio'/></video>" if "egl" in graphics else ""
        yield Odd(about=about, devices=graphics + video)
    yield Odd(about="a screen that runs", devices=vnc, starts=True)


def _boots(folder: Path) -> Iterator[Odd]:
    nic = "<interface type='user'>{}</interface>"
    usb = (
        "<hostdev mode='subsystem' type='usb'><source startupPolicy='optional'>"
        "<vendor id='0x1234'/><product id='0xbeef'/></source>{}</hostdev>"
    )
    redirected = "<redirdev bus='usb' type='tcp'><source mode='bind' host='127.0.0.1' service='1'/>"
    redirected += "{}</redirdev>"
    hard = disk("vda", "virtio", file(f"{folder}/a.qcow2"), inside="{}")
    floppy = disk("fda", "fdc", "", form="raw", device="floppy", inside="{}")
    for words in ("hd", "cdrom", "network", "fd", "cdrom hd", "network fd hd cdrom", "hd fd"):
        boot = "".join(f"<boot dev='{word}'/>" for word in words.split())
        yield Odd(about=f"boots {words}", machine="pc", boot=boot)
    orders = {
        "a disk": (hard,),
        "the network": (nic, hard),
        "a USB device": (usb, hard),
        "a redirected device": (redirected, nic, hard),
        "a floppy": (floppy, hard),
        "a disk, then USB twice": (hard, usb, redirected),
    }
    for about, devices in orders.items():
        placed = "".join(
            each.format(f"<boot order='{place}'/>") for place, each in enumerate(devices, 1)
        )
        yield Odd(about=f"boots {about}", machine="pc", devices=placed)
    yield Odd(about="boots a kernel", boot="<kernel>/none</kernel><cmdline>a=b</cmdline>")


def _sizes() -> Iterator[Odd]:
    no_balloon = "<memballoon model='none'/>"
    for unit, count in (("b", 67108864), ("KB", 65536), ("KiB", 65536), ("MB", 64), ("GiB", 1)):
        yield Odd(about=unit, size=f"<memory unit='{unit}'>{count}</memory>")
    less = "<memory unit='MiB'>64</memory><currentMemory unit='KiB'>49152</currentMemory>"
    yield Odd(about="less now", size=less)
    yield Odd(about="less now, no balloon", size=less, devices=no_balloon)
    yield Odd(about="less now, no balloon, runs", size=less, devices=no_balloon, starts=True)
    yield Odd(about="less now, runs", size=less, starts=True)
    hotplug = (
        "<maxMemory slots='4' unit='MiB'>512</maxMemory><memory unit='MiB'>192</memory>"
        "<vcpu>2</vcpu>"
    )
    numa = "<cpu><numa><cell id='0' cpus='0-1' memory='128' unit='MiB'/></numa></cpu>"
    dimm = "<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>"
    yield Odd(about="room for memory", size=hotplug, top=numa, devices=dimm)
    for backing in ("<hugepages/>", "<locked/>", "<nosharepages/>"):
        top = f"<memoryBacking>{backing}</memoryBacking>"
        limit = "<memtune><hard_limit unit='GiB'>1</hard_limit></memtune>"
        yield Odd(about=backing, top=limit + top)
    memory = "<memory unit='MiB'>64</memory>"
    chosen = "".join(
        f"<vcpu id='{id}' enabled='{'yes' if id in {0, 2} else 'no'}' "
        f"hotpluggable='{'yes' if id else 'no'}'/>"
        for id in range(4)
    )
    for vcpu in (
        "<vcpu>1</vcpu>",
        "<vcpu>255</vcpu>",
        "<vcpu current='1'>4</vcpu>",
        "<vcpu placement='static' cpuset='0'>2</vcpu>",
        f"<vcpu current='2'>4</vcpu><vcpus>{chosen}</vcpus>",
    ):
        yield Odd(about=vcpu, size=memory + vcpu)
    topology = "<cpu><topology sockets='2' dies='1' cores='2' threads='2'/></cpu>"
    yield Odd(about="a topology", size=f"{memory}<vcpu current='6'>8</vcpu>", top=topology)
    yield Odd(
        about="processors that run",
        size=f"{memory}<vcpu current='1'>2</vcpu>",
        starts=True,
    )
    for cpu in (
        "<cpu mode='host-model'/>",
        "<cpu mode='maximum'/>",
        "<cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>",
    ):
        yield Odd(about=cpu, top=cpu)


def _firmware() -> Iterator[Odd]:
    flash = f"<loader readonly='yes' type='pflash'>{UEFI_CODE}</loader>"
    yield Odd(about="UEFI", firmware=" firmware='efi'")
    secure = "<loader secure='yes'/>"
    smm = "<features><smm state='on'/></features>"
    yield Odd(about="secure boot", firmware=" firmware='efi'", boot=secure, top=smm)
    yield Odd(about="flash", boot=flash + f"<nvram template='{UEFI_VARS}'/>")
    yield Odd(about="a loader", boot="<loader type='rom'>/usr/share/seabios/bios.bin</loader>")
    for machine in ("pc", "pc-q35-6.2", "pc-i440fx-6.2"):
        yield Odd(about=machine, machine=machine)


def _texts() -> Iterator[Odd]:
    for name in ("proa-test ü (x64) [v2]", "proa-test 'q' \"d\" & <e>", "proa-test-🙂", "123"):
        yield Odd(about="a name", name=name)
    for text in ("Ünïcödé 🙂 &amp; &lt;b&gt;", "  two  blanks  ", "x" * 1000):
        yield Odd(about="a title", top=f"<title>{text}</title>")
    yield Odd(about="a description", top="<description>one\n  two\n\nthree</description>")
    theirs = "<o:info xmlns:o='urn:other'><o:label key='a' value='b'/>text</o:info>"
    ours = (
        "<p:domain xmlns:p='urn:proa:domain:1' create_time='2026-01-02T03:04:05+00:00'>"
        "<p:label key='a' value='1'/><p:label key='b &amp; c' value=''/></p:domain>"
    )
    for metadata in (theirs, ours, theirs + ours):
        yield Odd(about="metadata", top=f"<metadata>{metadata}</metadata>")


def _interfaces() -> Iterator[Odd]:
    network, bridge = "<source network='lab'/>", "<source bridge='br0'/>"
    cards = {
        "network": network,
        "bridge": bridge,
        "user": "",
        "ethernet": "<target dev='tap7'/>",
        "direct": "<source dev='eth0' mode='bridge'/>",
        "mcast": "<source address='230.0.0.1' port='5558'/>",
        "server": "<source address='127.0.0.1' port='5558'/>",
        "udp": "<source address='127.0.0.1' port='1'><local address='127.0.0.1' port='2'/></source>",
    }
    every = ""
    for number, (kind, source) in enumerate(cards.items()):
        mac = f"<mac address='52:54:00:00:00:0{number}'/>"
        every += f"<interface type='{kind}'>{mac}{source}<model type='virtio'/></interface>"
        for model in ("", "<model type='e1000e'/>") if kind in {"network", "user"} else ("",):
            card = f"<interface type='{kind}'>{source}{model}</interface>"
            yield Odd(about=f"{kind} {model}", devices=card)
    yield Odd(about="all cards", devices=every)
