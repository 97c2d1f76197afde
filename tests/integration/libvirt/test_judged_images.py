"""Images and states of domains on a real libvirt, judged before a domain runs by them."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from hostile_xml.document import whole
from integration.core_harness import CoreHarness
from integration.libvirt.guests import Guests
from proad.core.actor import act_for
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import PolicyDeniedError
from proad.model import (
    DomainXml,
    Resource,
    SnapshotSpec,
    StartOptions,
    StopMode,
    StopOptions,
    Subject,
)
from proad.policy import Foreign, Policy, Profile

pytestmark = pytest.mark.libvirt

POLICY = Policy(foreign=Foreign.FULL, profiles={"default": Profile(foreign=Foreign.FULL)})
DATA_FILE = "data_file"


@pytest.fixture
async def core(driver: LibvirtDriver) -> AsyncIterator[CoreHarness]:
    act_for(Subject("ann"))
    async with CoreHarness.of(driver, policy=POLICY) as core:
        yield core


@pytest.fixture
def images(raw: libvirt.virConnect, guests: Guests) -> Iterator[Path]:
    """A storage pool of its own, by its folder, whose name is that of the folder."""
    place = Path("/var/tmp") / f"{guests.prefix}-images"
    place.mkdir(mode=0o711)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{place.name}</name><target><path>{place}</path></target></pool>"
    )
    yield place
    pool.destroy()
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


def disk(path: Path, form: str = "qcow2", more: str = "") -> str:
    return (
        f"<disk type='file'><driver name='qemu' type='{form}'/><source file='{path}'/>{more}"
        "<target dev='vda' bus='virtio'/></disk>"
    )


async def create(
    core: CoreHarness, guests: Guests, devices: str, *, start: bool = False
) -> Resource:
    xml = whole(devices, name=f"<name>{guests.prefix}-x</name>")
    return await core.provisioning.create_domain_from_xml(DomainXml(xml=xml), start=start, host="")


def hostile_image(images: Path, kind: str) -> Path:
    """Make an image that leads to a file of the host."""
    image = images / f"{kind}.qcow2"
    secret = Path("/etc/hostname")
    match kind:
        case "backing":
            qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", image)
        case "relative":
            qemu_img(
                "create",
                "-f",
                "qcow2",
                "-u",
                "-b",
                "../../../etc/hostname",
                "-F",
                "raw",
                image,
                "1M",
            )
        case "json":
            name = 'json:{"driver":"file","filename":"/etc/hostname"}'
            qemu_img("create", "-f", "qcow2", "-u", "-b", name, "-F", "raw", image, "1M")
        case "network":
            qemu_img(
                "create", "-f", "qcow2", "-u", "-b", "nbd://127.0.0.1:1/x", "-F", "raw", image, "1M"
            )
        case "no-format":
            qemu_img("create", "-f", "qcow2", "-u", "-b", secret, "-F", "raw", image, "1M")
            qemu_img("rebase", "-u", "-b", "", image)
            image.write_bytes(_with_backing(image.read_bytes(), b"/etc/hostname"))
        case "link":
            (images / "link").symlink_to(secret)
            qemu_img("create", "-f", "qcow2", "-b", images / "link", "-F", "raw", image)
        case "chain":
            qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", images / "middle")
            qemu_img("create", "-f", "qcow2", "-b", images / "middle", "-F", "qcow2", image)
        case _:
            option = f"{DATA_FILE}={images / 'data'},data_file_raw=on"
            qemu_img("create", "-f", "qcow2", "-o", option, image, "1M")
    return image


def _with_backing(data: bytes, name: bytes) -> bytes:
    """Return a qcow2 image whose header names a backing file, and no format of that."""
    at = 0x400
    header = bytearray(data)
    header[8:16] = at.to_bytes(8, "big")
    header[16:20] = len(name).to_bytes(4, "big")
    header[at : at + len(name)] = name
    return bytes(header)


KINDS = {
    "backing": "disk file not listed",
    "relative": "value not listed",
    "json": "backing store",
    "network": "backing store",
    "no-format": "backing store",
    "chain": "disk file not listed",
    "link": "disk file not safe",
    "data-file": "backing store",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["file", "volume"])
async def test_create_from_xml_with_hostile_image_is_denied(
    core: CoreHarness, guests: Guests, images: Path, kind: str, form: str
):
    image = hostile_image(images, kind)
    devices = disk(image)
    if form == "volume":
        devices = devices.replace("type='file'", "type='volume'").replace(
            f"file='{image}'", f"pool='{images.name}' volume='{image.name}'"
        )
        pool = guests.raw.storagePoolLookupByName(images.name)
        pool.refresh()

    with pytest.raises(PolicyDeniedError) as caught:
        await create(core, guests, devices, start=True)

    assert {each.rule for each in caught.value.violations} == {KINDS[kind]}
    assert await guests.domains() == set()


@pytest.mark.parametrize("kind", KINDS)
async def test_start_of_foreign_domain_on_hostile_image_is_denied(
    driver: LibvirtDriver, guests: Guests, images: Path, kind: str
):
    xml = whole(disk(hostile_image(images, kind)), name=f"<name>{guests.prefix}-x</name>")
    guests.raw.defineXML(xml)
    act_for(Subject("ann"))

    async with CoreHarness.of(driver, policy=POLICY) as core:
        with pytest.raises(PolicyDeniedError) as caught:
            await core.lifecycle.start(f"{guests.prefix}-x", StartOptions())

    assert {each.rule for each in caught.value.violations} == {KINDS[kind]}
    assert not guests.raw.lookupByName(f"{guests.prefix}-x").isActive()


async def test_create_from_xml_on_overlay_states_the_whole_chain(
    core: CoreHarness, guests: Guests, images: Path
):
    qemu_img("create", "-f", "qcow2", images / "base", "1M")
    qemu_img("create", "-f", "qcow2", "-b", images / "base", "-F", "qcow2", images / "top")

    made = await create(core, guests, disk(images / "top"), start=True)

    root = etree.fromstring(await guests.driver.get_domain_xml(made.id, inactive=True))
    below = root.find("devices/disk/backingStore")
    assert below is not None
    assert below.xpath("string(source/@file)") == str(images / "base")
    assert below.find("backingStore") is not None
    # What the domain says of itself can be made again.
    await guests.remove_all()
    again = etree.tostring(root, encoding="unicode")
    await core.provisioning.create_domain_from_xml(DomainXml(xml=again), start=True, host="")


async def test_create_from_xml_naming_another_backing_file_is_denied(
    core: CoreHarness, guests: Guests, images: Path
):
    for name in ("base", "other"):
        qemu_img("create", "-f", "qcow2", images / name, "1M")
    qemu_img("create", "-f", "qcow2", "-b", images / "base", "-F", "qcow2", images / "top")
    other = (
        f"<backingStore type='file'><format type='qcow2'/><source file='{images / 'other'}'/>"
        "<backingStore/></backingStore>"
    )

    for more in (other, "<backingStore/>"):
        with pytest.raises(PolicyDeniedError) as caught:
            await create(core, guests, disk(images / "top", more=more))
        (violation,) = caught.value.violations
        assert (violation.rule, violation.setting) == ("backing store", "allow_backing_stores")


async def test_start_of_raw_disk_with_qcow2_header_opens_nothing_else(
    core: CoreHarness, guests: Guests, images: Path
):
    image = hostile_image(images, "backing")

    made = await create(core, guests, disk(image, "raw"), start=True)

    live = etree.fromstring(await guests.driver.get_domain_xml(made.id))
    assert "hostname" not in etree.tostring(live, encoding="unicode")


@pytest.mark.parametrize("kind", ["link", "folder-of-others", "folder-is-a-link"])
async def test_create_from_xml_with_a_file_that_others_may_replace_is_denied(
    driver: LibvirtDriver, guests: Guests, images: Path, kind: str
):
    root = images.with_name(f"{images.name}-root")
    root.mkdir(mode=0o755)
    (root / "inner").mkdir()
    (root / "inner" / "x.img").write_bytes(bytes(2**20))
    path = root / "inner" / "x.img"
    if kind == "link":
        path = root / "link.img"
        path.symlink_to("/etc/hostname")
    elif kind == "folder-of-others":
        (root / "inner").chmod(0o777)
    else:
        (root / "other").symlink_to(root / "inner")
        path = root / "other" / "x.img"
    policy = Policy(disk_roots=(str(root),), profiles={"default": Profile(disk_roots=(str(root),))})
    act_for(Subject("ann"))
    try:
        async with CoreHarness.of(driver, policy=policy) as core:
            with pytest.raises(PolicyDeniedError) as caught:
                await create(core, guests, disk(path, "raw"))
            assert [each.rule for each in caught.value.violations] == ["disk file not safe"]
            (root / "inner").chmod(0o755)
            await create(core, guests, disk(root / "inner" / "x.img", "raw"), start=True)
    finally:
        await guests.remove_all()
        for each in (root / "link.img", root / "other", root / "inner" / "x.img"):
            each.unlink(missing_ok=True)
        (root / "inner").rmdir()
        root.rmdir()


async def test_revert_to_snapshot_of_a_hostile_domain_is_denied(core: CoreHarness, guests: Guests):
    made = await core.provisioning.create_domain(guests.blank(), start=False, host="")
    await core.snapshots.create(made.id, SnapshotSpec(name="first"))
    domain = guests.raw.lookupByUUIDString(made.id)
    taken = domain.snapshotLookupByName("first")
    xml = taken.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    hostile = xml.replace("<on_crash>destroy<", "<on_crash>coredump-destroy<")
    assert hostile != xml
    domain.snapshotCreateXML(hostile, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
    before = domain.XMLDesc(0)

    for revert in (
        core.snapshots.revert(made.id, "first", None),
        core.lifecycle.start(made.id, StartOptions(from_snapshot="first")),
    ):
        with pytest.raises(PolicyDeniedError) as caught:
            await revert
        assert [each.rule for each in caught.value.violations] == ["core dump"]

    assert domain.XMLDesc(0) == before
    assert not domain.isActive()


async def test_start_of_saved_state_that_others_changed_is_denied(
    core: CoreHarness, guests: Guests
):
    made = await core.provisioning.create_domain(guests.blank(), start=True, host="")
    domain = guests.raw.lookupByUUIDString(made.id)
    await core.lifecycle.stop(made.id, StopOptions(mode=StopMode.SAVE))
    xml = domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
    changed = xml.replace("<on_crash>destroy<", "<on_crash>coredump-destroy<")
    assert changed != xml
    domain.managedSaveDefineXML(changed, 0)

    with pytest.raises(PolicyDeniedError) as caught:
        await core.lifecycle.start(made.id, StartOptions())

    assert [each.rule for each in caught.value.violations] == ["core dump"]
    assert not domain.isActive()
