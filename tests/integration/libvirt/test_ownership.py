"""A delete removes the volumes created for the domain, whatever its XML says."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from event_queue import EventQueue
from eventually import eventually
from integration.libvirt.conftest import URI
from integration.libvirt.guests import MIB, SCRAP, Guests
from integration.libvirt.records import SwitchableRecords
from proad.drivers.libvirt import LibvirtDriver, serial_log
from proad.drivers.libvirt.logs import DomainLogs
from proad.drivers.libvirt.timing import CatalogTiming, LibvirtTiming
from proad.drivers.libvirt.xml.metadata import NAMESPACE
from proad.drivers.records import LocalVolumeRecords
from proad.errors import DatabaseUnreachableError
from proad.model import (
    DeleteOptions,
    DiskFormat,
    DiskSpec,
    Domain,
    DomainXml,
    Lifetime,
    NewDisk,
    Resource,
    ResourceState,
    StopMode,
    StopOptions,
    VolumeRef,
    VolumeSpec,
)
from proad.ports.records import RecordState, VolumeRecord
from updating import domain_update

pytestmark = pytest.mark.libvirt


@pytest.fixture
def defined(raw: libvirt.virConnect) -> Iterator[Callable[[str], libvirt.virDomain]]:
    """Define domains as another tool would; undefined at the end."""
    ids: list[str] = []

    def define(xml: str) -> libvirt.virDomain:
        domain = raw.defineXML(xml)
        ids.append(domain.UUIDString())
        return domain

    yield define
    for id in ids:
        try:
            raw.lookupByUUIDString(id).undefine()
        except libvirt.libvirtError as error:
            assert error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN  # noqa: PT017 - it may be gone


def disk_of(resource: Resource) -> VolumeRef:
    assert isinstance(resource.domain, Domain)
    (disk,) = (disk for disk in resource.domain.disks if disk.target == "vda")
    assert disk.volume is not None
    return disk.volume


async def foreign_volume(driver: LibvirtDriver, guests: Guests) -> str:
    """Create a volume that belongs to no domain, and return its name."""
    name = f"{guests.prefix}-foreign-{secrets.token_hex(3)}"
    return (await driver.create_volume(VolumeSpec(name=name, capacity_bytes=MIB))).name


def claiming(xml: str, where: str, pool: str, volume: str) -> str:
    """Return domain XML whose metadata says, in our namespace, that a volume is the domain's."""
    root = etree.fromstring(xml)
    place = root.find("metadata")
    assert place is not None
    (ours,) = place.findall(f"{{{NAMESPACE}}}domain")
    if where == "instead":
        place.remove(ours)
    if where != "inside":
        ours = etree.Element(f"{{{NAMESPACE}}}domain", nsmap={"other": NAMESPACE})
        place.insert(0 if where == "before" else len(place), ours)
    etree.SubElement(ours, f"{{{NAMESPACE}}}volume", pool=pool, name=volume)
    return etree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("kept", [False, True], ids=["in use", "kept"])
async def test_delete_of_a_clone_keeps_the_volume_of_the_original(
    driver: LibvirtDriver,
    guests: Guests,
    defined: Callable[[str], libvirt.virDomain],
    *,
    kept: bool,
):
    """The clone has another name and disk, as made by `virt-clone --preserve-data`."""
    made = await driver.create_domain(guests.blank())
    other = await foreign_volume(driver, guests)
    root = etree.fromstring(await driver.get_domain_xml(made.id))
    name = root.find("name")
    assert name is not None
    name.text = f"{guests.prefix}-clone"
    uuid = root.find("uuid")
    assert uuid is not None
    root.remove(uuid)
    source = root.find("devices/disk/source")
    assert source is not None
    source.set("file", str(guests.folder / other))
    clone = defined(etree.tostring(root, encoding="unicode"))

    shown = await driver.get_resource(clone.UUIDString())
    assert shown.domain is not None
    assert [disk.owned for disk in shown.domain.disks] == [False]
    if kept:
        await driver.delete(made.id, DeleteOptions(keep_volumes=True))
    await driver.delete(clone.UUIDString())

    assert await guests.volumes() == {disk_of(made).name, other}
    if not kept:
        await driver.delete(made.id)
        assert await guests.volumes() == {other}


@pytest.mark.parametrize("where", ["inside", "instead", "before", "behind"])
async def test_delete_keeps_volume_claimed_by_metadata(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, where: str
):
    foreign = await foreign_volume(driver, guests)
    made = await driver.create_domain(guests.blank())
    xml = raw.lookupByUUIDString(made.id).XMLDesc()
    raw.defineXML(claiming(xml, where, guests.folder.name, foreign))
    await driver.delete(made.id)
    assert await guests.volumes() == {foreign}


async def test_delete_of_domain_from_xml_keeps_claimed_volume(
    driver: LibvirtDriver, guests: Guests
):
    foreign = await foreign_volume(driver, guests)
    claims = "".join(
        f"<{prefix}:domain xmlns:{prefix}='{NAMESPACE}'>"
        f"<{prefix}:volume pool='{guests.folder.name}' name='{foreign}'/></{prefix}:domain>"
        for prefix in ("proa", "other")
    )
    xml = (
        f"<domain type='qemu'><name>{guests.prefix}-xml</name><memory>32768</memory>"
        f"<metadata>{claims}<x:y xmlns:x='urn:else'>{claims}</x:y></metadata>"
        "<os><type>hvm</type></os></domain>"
    )
    made = await driver.create_domain_from_xml(DomainXml(xml=xml))
    kept = etree.fromstring(await driver.get_domain_xml(made.id))
    assert len(list(kept.iter(f"{{{NAMESPACE}}}*"))) == 1
    assert kept.find("metadata/{urn:else}y") is not None
    await driver.delete(made.id)
    assert await guests.volumes() == {foreign}


async def test_delete_keeps_volume_recreated_under_the_name(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank())
    volume = disk_of(made)
    pool = raw.storagePoolLookupByName(volume.pool)
    pool.storageVolLookupByName(volume.name).delete()
    pool.createXML(f"<volume><name>{volume.name}</name><capacity>1024</capacity></volume>")

    shown = await driver.get_resource(made.id)
    assert shown.domain is not None
    assert [disk.owned for disk in shown.domain.disks] == [False]
    await driver.delete(made.id)
    assert await guests.volumes() == {volume.name}


async def test_delete_keeps_volume_used_by_another_domain(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank())
    volume = disk_of(made)
    user = await driver.create_domain(guests.blank(disks=(DiskSpec(volume=volume),)))
    await driver.delete(made.id)
    assert await guests.volumes() == {volume.name}
    # It was created for the first domain, and no delete removes it now.
    await driver.delete(user.id)
    assert await guests.volumes() == {volume.name}


async def test_delete_after_a_rename_takes_its_volume(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank())
    await driver.update(made.id, domain_update(name=f"{made.name}-renamed"))
    await driver.delete(made.id)
    assert await guests.volumes() == set()


async def test_delete_by_a_later_driver_takes_its_volume(
    driver: LibvirtDriver, guests: Guests, tmp_path: Path
):
    """As after a restart of the daemon."""
    file = tmp_path / "records.json"
    spec = guests.blank()

    def another() -> LibvirtDriver:
        return LibvirtDriver(
            URI, virt_type="qemu", default_pool=guests.folder.name, records=LocalVolumeRecords(file)
        )

    await driver.list_volumes()  # which makes the pool
    async with another() as first:
        made = await first.create_domain(
            replace(spec, disks=(DiskSpec(new_volume=NewDisk(capacity_bytes=MIB, pool="")),))
        )
    async with another() as second:
        shown = await second.get_resource(made.id)
        assert shown.domain is not None
        assert [disk.owned for disk in shown.domain.disks] == [True]
        await second.delete(made.id)
    assert await guests.volumes() == set()
    assert RecordState.OWNED not in file.read_text()


async def test_delete_with_keep_volumes_makes_them_ordinary(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank())
    xml = await driver.get_domain_xml(made.id)
    await driver.delete(made.id, DeleteOptions(keep_volumes=True))
    again = await driver.create_domain_from_xml(DomainXml(xml=xml))
    assert again.id == made.id
    await driver.delete(again.id)
    assert await guests.volumes() == {disk_of(made).name}


async def test_stop_of_a_transient_domain_deletes_its_volume(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(lifetime=Lifetime.TRANSIENT))
    assert await guests.volumes() == {disk_of(made).name}
    await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))
    assert await guests.volumes() == set()


class Unwritable(LocalVolumeRecords):
    """Records whose database fails at the nth write."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self.writes = 0
        self._failing = failing

    async def put(self, engine: str, record: VolumeRecord) -> None:
        self.writes += 1
        if self.writes >= self._failing:
            raise DatabaseUnreachableError
        await super().put(engine, record)


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
async def test_create_without_a_record_leaves_nothing(guests: Guests, failing: int):
    records = Unwritable(failing)
    async with LibvirtDriver(
        URI, virt_type="qemu", default_pool=guests.folder.name, records=records
    ) as driver:
        two = tuple(DiskSpec(new_volume=NewDisk(capacity_bytes=MIB)) for _ in range(2))
        with pytest.raises(DatabaseUnreachableError):
            await driver.create_domain(guests.blank(disks=two))
        assert records.writes == failing
    assert await guests.volumes() == set()
    assert await guests.domains() == set()
    assert [each for engine in records.engines for each in await records.list(engine)] == []


async def test_delete_without_records_deletes_nothing(
    driver: LibvirtDriver, guests: Guests, records: SwitchableRecords
):
    made = await driver.create_domain(guests.blank())
    records.reachable = False
    with pytest.raises(DatabaseUnreachableError):
        await driver.delete(made.id)
    records.reachable = True
    assert (await driver.get_resource(made.id)).state is ResourceState.STOPPED
    assert await guests.volumes() == {disk_of(made).name}


async def test_stop_of_a_transient_domain_without_records_keeps_its_volumes(
    driver: LibvirtDriver, guests: Guests, records: SwitchableRecords
):
    made = await driver.create_domain(guests.blank(lifetime=Lifetime.TRANSIENT))
    records.reachable = False
    stopped = await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))
    records.reachable = True
    assert stopped.state is ResourceState.STOPPED
    assert await guests.volumes() == {disk_of(made).name}


async def test_create_volume_records_the_time_of_birth_of_its_file(
    driver: LibvirtDriver, guests: Guests, records: SwitchableRecords
):
    await driver.create_domain(guests.blank())
    name = f"{guests.prefix}-free"
    await driver.create_volume(VolumeSpec(name=name, capacity_bytes=MIB, format=DiskFormat.RAW))
    free = {each.name: each for each in await records.all()}[name]
    assert (free.state, free.owner, free.format) == (RecordState.ORDINARY, "", DiskFormat.RAW)
    assert free.file is not None
    told = await asyncio.create_subprocess_exec(
        "stat", "-c", "%i %.9W", free.path, stdout=asyncio.subprocess.PIPE
    )
    inode, birth = (await told.communicate())[0].decode().split()
    assert free.file.inode == int(inode)
    assert free.file.birth_time_ns == int(birth.replace(".", ""))
    await driver.delete_volume("", name)
    assert name not in {each.name for each in await records.all()}


ODD = [
    "create_time='yesterday'",
    "create_time='2026-01-01'",
    "create_time='0001-01-01T00:00:00+14:00'",
    "create_time='9999-12-31T23:59:59-14:00'",
    f"create_time='{'9' * 1000}'",
    "create_time=''",
]


@pytest.mark.parametrize("odd", [*ODD, "nested", "huge", "many", "other"])
async def test_views_of_odd_metadata_succeed(
    driver: LibvirtDriver,
    guests: Guests,
    defined: Callable[[str], libvirt.virDomain],
    odd: str,
):
    inside = {
        "nested": "<p:label key='a'>" * 100 + "</p:label>" * 100,
        "huge": f"<p:label key='a' value='{'x' * 3_000_000}'/>",
        "many": "".join(f"<p:label key='{n}' value='v'/>" for n in range(50_000)),
        "other": "<p:label/><p:label key=''/><p:label value='v'/><p:domain/><p:volume/>",
    }.get(odd, "<p:label key='a' value='b'/>")
    attributes = odd if odd in ODD else ""
    first = f"<p:what xmlns:p='{NAMESPACE}'/>" if odd == "other" else ""
    domain = defined(
        f"<domain type='qemu'><name>{guests.prefix}-odd</name><memory>32768</memory><metadata>"
        f"{first}<p:domain xmlns:p='{NAMESPACE}' {attributes}>{inside}</p:domain></metadata>"
        "<os><type>hvm</type></os></domain>"
    )
    id = domain.UUIDString()
    listed = {each.id: each for each in await driver.list_resources()}
    full = await driver.get_resource(id)
    assert listed[id].labels == full.labels
    assert listed[id].create_time == full.create_time is None
    assert sum(map(len, [*full.labels, *full.labels.values()])) <= 2**18
    if odd in ODD:
        assert full.labels == {"a": "b"}
    # They do not prevent an update either, which repairs them.
    updated = await driver.update(id, domain_update(labels={"c": "d"}))
    assert updated.resource.labels == {"c": "d"}
    await driver.delete(id, SCRAP)


@pytest.mark.parametrize("timing", [LibvirtTiming(catalog=CatalogTiming(settle_time=timedelta()))])
async def test_reconcile_after_a_foreign_undefine_makes_the_volume_ordinary(
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    records: SwitchableRecords,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    # As where no daemon followed, not even one of another test.
    monkeypatch.setattr(DomainLogs, "forget", lambda *_: None)
    made = await driver.create_domain(guests.blank())
    raw.lookupByUUIDString(made.id).undefine()
    monkeypatch.setattr(serial_log, "FOLDER", tmp_path)
    log = serial_log.path_of(made.id)
    log.touch()

    async def ordinary() -> bool:
        return [each.state for each in await records.all()] == [RecordState.ORDINARY]

    async with EventQueue.of(driver):
        await eventually(ordinary)
        await eventually(lambda: not log.exists())
    assert await guests.volumes() == {disk_of(made).name}


@pytest.mark.parametrize("way", ["spec", "xml"])
async def test_delete_of_a_domain_with_a_reused_uuid_deletes_only_its_own_volume(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, way: str
):
    made = await driver.create_domain(guests.blank())
    raw.lookupByUUIDString(made.id).undefine()
    if way == "spec":
        await driver.create_domain(guests.blank(uuid=made.id))
    else:
        xml = (
            f"<domain type='qemu'><name>{guests.prefix}-xml</name><uuid>{made.id}</uuid>"
            "<memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>"
        )
        await driver.create_domain_from_xml(DomainXml(xml=xml))
    await driver.delete(made.id)
    assert await guests.volumes() == {disk_of(made).name}
