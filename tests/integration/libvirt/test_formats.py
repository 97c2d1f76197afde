"""Disk formats and backing chains are never guessed."""

import os
import re
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import InvalidArgumentError
from proad.model import (
    DiskFormat,
    DiskSpec,
    DomainXml,
    NewDisk,
    StopMode,
    StopOptions,
    Volume,
    VolumeRef,
    VolumeSpec,
)

pytestmark = pytest.mark.libvirt

FORCE = StopOptions(mode=StopMode.FORCE)


def run(*words: object) -> None:
    subprocess.run([*map(str, words)], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def secret() -> Iterator[Path]:
    """A host file outside of every pool that QEMU's user may read."""
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    path = folder / "secret"
    path.write_bytes(b"the secret of the host".ljust(MIB, b"\0"))
    path.chmod(0o644)
    yield path
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


@pytest.fixture
async def dropped(driver: LibvirtDriver, guests: Guests, folder: Path) -> AsyncIterator[Path]:
    """An image put into the pool externally."""
    await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-first", capacity_bytes=MIB))
    path = folder / f"{guests.prefix}-dropped.qcow2"
    run("qemu-img", "create", "-f", "qcow2", path, MIB)
    yield path
    run("qemu-img", "create", "-f", "qcow2", path, MIB)  # whatever became of it


def chain_of(root: etree._Element, target: str = "vda") -> list[tuple[str, str]]:
    """Return the stated layers of a disk; the end of the chain must be stated."""
    (layer,) = root.findall(f"devices/disk/target[@dev='{target}']/..")
    layers, form = [], layer.find("driver")
    while (source := layer.find("source")) is not None:
        assert form is not None
        layers.append((source.attrib["file"], form.attrib["type"]))
        below = layer.find("backingStore")
        assert below is not None
        layer, form = below, below.find("format")
    return layers


async def xml_of(driver: LibvirtDriver, id: str) -> etree._Element:
    return etree.fromstring(await driver.get_domain_xml(id, inactive=True))


def fields(caught: pytest.ExceptionInfo[InvalidArgumentError]) -> list[str]:
    return [violation.field for violation in caught.value.violations]


async def test_create_on_a_volume_of_others_without_its_format_is_refused(
    driver: LibvirtDriver, guests: Guests, dropped: Path
):
    ref = VolumeRef(name=dropped.name)
    with pytest.raises(InvalidArgumentError, match="not made by Proa") as caught:
        await driver.create_domain(guests.blank(disks=(DiskSpec(volume=ref),)))
    assert fields(caught) == ["spec.disks[0].volume.format"]
    disks = (DiskSpec(new_volume=NewDisk(base=ref)),)
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_domain(guests.blank(disks=disks))
    assert fields(caught) == ["spec.disks[0].new_volume.base.format"]
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-x", base=ref))
    assert fields(caught) == ["spec.base.format"]
    assert await guests.domains() == set()


@pytest.mark.parametrize("format", [DiskFormat.QCOW2, DiskFormat.RAW])
async def test_create_on_a_volume_of_others_takes_the_stated_format(
    driver: LibvirtDriver, guests: Guests, dropped: Path, format: DiskFormat
):
    disk = DiskSpec(volume=VolumeRef(name=dropped.name, format=format))
    made = await driver.create_domain(guests.blank(disks=(disk,)))
    assert chain_of(await xml_of(driver, made.id)) == [(str(dropped), format.lower())]


async def test_create_with_another_format_than_was_made_is_refused(
    driver: LibvirtDriver, guests: Guests
):
    spec = VolumeSpec(name=f"{guests.prefix}-raw", capacity_bytes=MIB, format=DiskFormat.RAW)
    volume = await driver.create_volume(spec)
    ref = VolumeRef(name=volume.name)
    disk = DiskSpec(volume=replace(ref, format=DiskFormat.QCOW2))
    with pytest.raises(InvalidArgumentError, match=r"the volume .* is recorded as RAW") as caught:
        await driver.create_domain(guests.blank(disks=(disk,)))
    assert fields(caught) == ["spec.disks[0].volume.format"]
    base = VolumeRef(name=volume.name, format=DiskFormat.QCOW2)
    with pytest.raises(InvalidArgumentError, match=r"the volume .* is recorded as RAW") as caught:
        await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-x", base=base))
    assert fields(caught) == ["spec.base.format"]
    for disk in (DiskSpec(volume=ref), DiskSpec(volume=replace(ref, format=DiskFormat.RAW))):
        made = await driver.create_domain(guests.blank(disks=(disk,)))
        assert chain_of(await xml_of(driver, made.id)) == [(volume.path, "raw")]
    xml = etree.tostring(await xml_of(driver, made.id), encoding="unicode")
    for other in ('type="qcow2"', "type='qcow2'"):
        changed = xml.replace('type="raw"', other).replace(made.name, f"{guests.prefix}-other")
        changed = changed.replace(made.id, secrets.token_hex(16))
        with pytest.raises(InvalidArgumentError, match="it is recorded as RAW") as caught:
            await driver.create_domain_from_xml(DomainXml(xml=changed))
        assert fields(caught) == ["xml"]


@pytest.mark.parametrize("way", ["backing", "data", "deep", "relative", "link"])
async def test_create_on_image_with_base_outside_pools_is_refused(
    secret: Path, driver: LibvirtDriver, guests: Guests, folder: Path, dropped: Path, way: str
):
    image = folder / f"{guests.prefix}-{way}.qcow2"
    if way == "data":
        run("qemu-img", "create", "-f", "qcow2", "-o", f"data_file={secret.parent}/d", image, MIB)
    else:
        base = str(secret)
        if way == "deep":
            base = str(folder / f"{guests.prefix}-between.qcow2")
            run("qemu-img", "create", "-f", "qcow2", "-b", secret, "-F", "raw", base)
        elif way == "relative":
            base = f"../{secret.parent.name}/{secret.name}"
        elif way == "link":
            base = str(folder / f"{guests.prefix}-link")
            Path(base).symlink_to(secret)
        form = "qcow2" if way == "deep" else "raw"
        run("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", form, image)
    ref = VolumeRef(name=image.name, format=DiskFormat.QCOW2)
    why = "data in another file" if way == "data" else "in no storage pool"
    with pytest.raises(InvalidArgumentError, match=why) as caught:
        await driver.create_domain(guests.blank(disks=(DiskSpec(volume=ref),)))
    assert fields(caught) == ["spec.disks[0].volume"]
    with pytest.raises(InvalidArgumentError, match=why) as caught:
        await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-x", base=ref))
    assert fields(caught) == ["spec.base"]
    for each in folder.glob(f"{guests.prefix}-*"):
        if each not in {dropped, folder / f"{guests.prefix}-first"}:
            each.unlink()


@pytest.mark.parametrize("name", ["json:{}", "nbd://host/x", "\udcff", "/a\x01b"])
async def test_create_on_an_image_with_an_odd_base_says_why_not(
    driver: LibvirtDriver, guests: Guests, dropped: Path, name: str
):
    content = bytearray(dropped.read_bytes())
    data = os.fsencode(name)
    content[512 : 512 + len(data)] = data
    content[8:20] = (512).to_bytes(8, "big") + len(data).to_bytes(4, "big")
    dropped.write_bytes(content)
    ref = VolumeRef(name=dropped.name, format=DiskFormat.QCOW2)
    with pytest.raises(InvalidArgumentError):
        await driver.create_domain(guests.blank(disks=(DiskSpec(volume=ref),)))
    with pytest.raises(InvalidArgumentError):
        await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-x", base=ref))


async def clones(driver: LibvirtDriver, guests: Guests, count: int) -> list[Volume]:
    """Create a raw base and qcow2 clones of it, each with a block of its own."""
    spec = VolumeSpec(name=f"{guests.prefix}-0", capacity_bytes=MIB, format=DiskFormat.RAW)
    made = [await driver.create_volume(spec)]
    for number in range(1, count + 1):
        base = VolumeRef(name=made[-1].name)
        spec = VolumeSpec(name=f"{guests.prefix}-{number}", base=base)
        made.append(await driver.create_volume(spec))
    for number, volume in enumerate(made):
        form = "qcow2" if number else "raw"
        what = f"write -P {ord('a') + number} {number * 64}k 64k"
        run("qemu-io", "-f", form, "-c", what, volume.path)
    return made


async def test_linked_clones_three_deep_boot_and_read_their_base(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await clones(driver, guests, 2)
    disk = DiskSpec(new_volume=NewDisk(base=VolumeRef(name=made[-1].name)))
    guest = await guests.boot(disks=(disk,))
    assert guest.domain is not None
    top = next(each for each in guest.domain.disks if each.target == "vda")
    expected = [(top.path, "qcow2"), (made[2].path, "qcow2"), (made[1].path, "qcow2")]
    expected.append((made[0].path, "raw"))
    assert chain_of(await xml_of(driver, guest.id)) == expected
    live = etree.fromstring(raw.lookupByUUIDString(guest.id).XMLDesc())
    assert chain_of(live) == expected
    for number, letter in enumerate("abc"):
        command = f"dd if=/dev/vda bs=64k skip={number} count=1 2>/dev/null | head -c 4; echo ="
        await guests.says(guest.id, command, rf"{letter}{{4}}=\r?\n".encode())


async def test_raw_disk_with_image_header_opens_no_host_file(
    secret: Path, driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, folder: Path
):
    new = NewDisk(capacity_bytes=MIB, format=DiskFormat.RAW)
    guest = await guests.boot(disks=(DiskSpec(new_volume=new),))
    assert guest.domain is not None
    disk = next(each for each in guest.domain.disks if each.target == "vda")
    assert disk.volume is not None
    header = (
        b"QFI\\xfb\\0\\0\\0\\003\\0\\0\\0\\0\\0\\0\\002\\0"
        + f"\\0\\0\\0\\{len(str(secret)):03o}".encode()
        + b"\\0\\0\\0\\020\\0\\0\\0\\0\\0\\020\\0\\0"
    ).decode()
    for command in (
        f"printf '{header}' | dd of=/dev/vda conv=notrunc 2>/dev/null",
        "printf '\\0\\0\\0\\004\\0\\0\\0\\150' | dd of=/dev/vda bs=1 seek=96 2>/dev/null",
        f"printf '{secret}' | dd of=/dev/vda bs=1 seek=512 2>/dev/null; sync; echo DO''NE",
    ):
        last = "DO''NE" in command
        await guests.says(guest.id, command, b"DONE" if last else b"guest# ")
    await driver.stop(guest.id, FORCE)
    raw.storagePoolLookupByName(folder.name).refresh()
    probed = raw.storageVolLookupByPath(disk.path).XMLDesc()
    assert str(secret) in probed  # libvirt was deceived
    (shown,) = (each for each in await driver.list_volumes() if each.path == disk.path)
    assert (shown.format, shown.base_path, shown.capacity_bytes) == (DiskFormat.RAW, "", MIB)
    second = await guests.boot(disks=(DiskSpec(volume=disk.volume),))
    (pid,) = re.findall(
        r"^(\d+)", Path(f"/run/libvirt/qemu/{second.name}.pid").read_text(), re.MULTILINE
    )
    opened = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    assert disk.path in opened
    assert str(secret) not in opened
    await guests.says(second.id, "head -c 3 /dev/vda; echo =", rb"QFI=\r?\n")
    assert chain_of(await xml_of(driver, second.id)) == [(disk.path, "raw")]


async def test_raw_volume_reached_by_other_pool_stays_raw(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, folder: Path, tmp_path: Path
):
    spec = VolumeSpec(name=f"{guests.prefix}-raw", capacity_bytes=MIB, format=DiskFormat.RAW)
    volume = await driver.create_volume(spec)
    link = tmp_path / "link"
    link.symlink_to(folder)
    alias = folder / f"{guests.prefix}-alias"
    alias.symlink_to(volume.path)
    hard = folder / f"{guests.prefix}-hard"
    hard.hardlink_to(volume.path)
    pool = raw.storagePoolDefineXML(
        f"<pool type='dir'><name>{guests.prefix}</name><target><path>{link}</path></target></pool>"
    )
    pool.create()
    try:
        for name in (volume.name, alias.name, hard.name):
            ref = VolumeRef(pool=pool.name(), name=name)
            disk = DiskSpec(volume=replace(ref, format=DiskFormat.QCOW2))
            with pytest.raises(
                InvalidArgumentError, match=r"the volume .* is recorded as RAW"
            ) as caught:
                await driver.create_domain(guests.blank(disks=(disk,)))
            assert fields(caught) == ["spec.disks[0].volume.format"]
            base = VolumeRef(pool=pool.name(), name=name, format=DiskFormat.QCOW2)
            with pytest.raises(InvalidArgumentError, match=r"the volume .* is recorded as RAW"):
                await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-x", base=base))
            xml = (
                f"<domain type='qemu'><name>{guests.prefix}-xml</name><memory>32768</memory>"
                "<os><type>hvm</type></os><devices><disk type='volume'>"
                f"<driver name='qemu' type='qcow2'/><source pool='{pool.name()}' volume='{name}'/>"
                "<target dev='vda'/></disk></devices></domain>"
            )
            with pytest.raises(InvalidArgumentError, match="it is recorded as RAW"):
                await driver.create_domain_from_xml(DomainXml(xml=xml))
        for link_ in (alias, hard):  # only one name of the file is deleted
            await driver.delete_volume(pool.name(), link_.name)
        raw.storagePoolLookupByName(folder.name).refresh()
        (shown,) = (each for each in await driver.list_volumes(folder.name) if each == volume)
        assert shown.format is DiskFormat.RAW
        with pytest.raises(InvalidArgumentError, match=r"the volume .* is recorded as RAW"):
            await driver.create_domain(guests.blank(disks=(disk_of(volume),)))
    finally:
        pool.destroy()
        pool.undefine()
        alias.unlink(missing_ok=True)
        hard.unlink(missing_ok=True)


def disk_of(volume: Volume) -> DiskSpec:
    return DiskSpec(volume=VolumeRef(name=volume.name, format=DiskFormat.QCOW2))


async def test_create_qcow2_volume_uses_version_3(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    """An empty one, one that takes its space at once, an overlay, and the disk of a domain."""
    spec = VolumeSpec(name=f"{guests.prefix}-empty", capacity_bytes=MIB)
    empty = await driver.create_volume(spec)
    taken = await driver.create_volume(
        replace(spec, name=f"{guests.prefix}-taken", preallocate=True)
    )
    base = VolumeRef(name=empty.name)
    overlay = await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-overlay", base=base))
    made = await driver.create_domain(
        guests.blank(disks=(DiskSpec(new_volume=NewDisk(base=VolumeRef(name=overlay.name))),))
    )
    assert made.domain is not None
    for path in (empty.path, taken.path, overlay.path, made.domain.disks[0].path):
        with open(path, "rb") as image:  # noqa: ASYNC230, PTH123 - a few bytes of a local file
            header = image.read(8)
        assert header == b"QFI\xfb\0\0\0\x03"
        assert "<compat>1.1</compat>" in raw.storageVolLookupByPath(path).XMLDesc()
