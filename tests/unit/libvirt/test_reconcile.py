"""What becomes of the records of volumes when domains and volumes went without us."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import libvirt
import pytest

from proad.drivers.libvirt.events import start_event_loop
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.reconcile import reconcile
from proad.drivers.records import LocalVolumeRecords
from proad.errors import DatabaseUnreachableError
from proad.model import DiskFormat
from proad.ports.records import RecordState, VolumeRecord
from unit.libvirt.catalogs import local_catalog, record_of

POOL = "proa-test-pool"
VOLUME = "<volume><name>v</name><capacity>1024</capacity></volume>"


@pytest.fixture
def connection() -> Iterator[libvirt.virConnect]:
    start_event_loop()
    connection = libvirt.open("test:///default")
    pool = connection.storagePoolDefineXML(
        f"<pool type='dir'><name>{POOL}</name><target><path>/{POOL}</path></target></pool>"
    )
    pool.create()
    pool.createXML(VOLUME)
    yield connection
    pool.destroy()
    pool.undefine()
    connection.close()


@pytest.fixture
def catalog() -> Iterator[VolumeCatalog]:
    with local_catalog() as catalog:
        yield catalog


@pytest.fixture
def domain(connection: libvirt.virConnect) -> libvirt.virDomain:
    return connection.lookupByName("test")


def delete_volume(connection: libvirt.virConnect) -> None:
    connection.storagePoolLookupByName(POOL).storageVolLookupByName("v").delete()


def test_reconcile_with_an_existing_domain_keeps_the_owner(
    connection: libvirt.virConnect, catalog: VolumeCatalog, domain: libvirt.virDomain
):
    record = record_of(catalog, connection, POOL, "v", owner=domain.UUIDString())
    reconcile(connection, catalog)
    delete_volume(connection)  # its pool may be an unmounted folder for now
    reconcile(connection, catalog)
    assert catalog.load(connection) == [record]


def test_reconcile_after_the_domain_has_gone_makes_the_volume_ordinary(
    connection: libvirt.virConnect, catalog: VolumeCatalog
):
    record = record_of(catalog, connection, POOL, "v", owner=str(uuid4()))
    reconcile(connection, catalog)
    assert catalog.load(connection) == [replace(record, state=RecordState.ORDINARY, owner="")]
    assert catalog.made_for(connection, record.owner) == []


@pytest.mark.parametrize("owned", [False, True])
def test_reconcile_after_the_volume_has_gone_removes_the_record(
    connection: libvirt.virConnect, catalog: VolumeCatalog, *, owned: bool
):
    record_of(catalog, connection, POOL, "v", owner=str(uuid4()) if owned else "")
    delete_volume(connection)
    reconcile(connection, catalog)
    assert catalog.load(connection) == []


def test_reconcile_with_an_inactive_pool_keeps_the_record(
    connection: libvirt.virConnect, catalog: VolumeCatalog
):
    record = record_of(catalog, connection, POOL, "v")
    connection.storagePoolLookupByName(POOL).destroy()
    try:
        reconcile(connection, catalog)
        assert catalog.load(connection) == [record]
    finally:
        connection.storagePoolLookupByName(POOL).create()


def test_reconcile_of_a_create_under_way_keeps_its_records(
    connection: libvirt.virConnect, catalog: VolumeCatalog
):
    planned = catalog.plan(connection, pool=POOL, name="not yet", format=DiskFormat.RAW)
    made = record_of(catalog, connection, POOL, "v", owner=str(uuid4()))
    reconcile(connection, catalog, older_than=datetime.now(UTC) - timedelta(hours=1))
    assert catalog.load(connection) == [planned, made]


@pytest.mark.parametrize("owned", [False, True])
def test_reconcile_of_a_young_volume_that_was_deleted_removes_the_record(
    connection: libvirt.virConnect, catalog: VolumeCatalog, *, owned: bool
):
    record_of(catalog, connection, POOL, "v", owner=str(uuid4()) if owned else "")
    delete_volume(connection)
    reconcile(connection, catalog, older_than=datetime.now(UTC) - timedelta(hours=1))
    assert catalog.load(connection) == []


@pytest.mark.parametrize("name", ["v", "never made"])
def test_reconcile_of_an_unprovable_plan_removes_the_record(
    connection: libvirt.virConnect, catalog: VolumeCatalog, name: str
):
    catalog.plan(connection, pool=POOL, name=name, format=DiskFormat.RAW)
    reconcile(connection, catalog)
    assert catalog.load(connection) == []


def test_catalog_without_a_database_owns_nothing_and_refuses_deletes(
    connection: libvirt.virConnect,
):
    class Broken(LocalVolumeRecords):
        async def list(self, engine: str) -> list[VolumeRecord]:
            raise DatabaseUnreachableError

    volume = connection.storagePoolLookupByName(POOL).storageVolLookupByName("v")
    with local_catalog(Broken()) as catalog:
        assert not catalog.owns(connection, str(uuid4()), volume)
        with pytest.raises(DatabaseUnreachableError):
            catalog.made_for(connection, str(uuid4()))


class Unreadable(LocalVolumeRecords):
    """Records whose database does not answer, until it is mended."""

    asked = 0
    mended = False

    async def list(self, engine: str) -> list[VolumeRecord]:
        self.asked += 1
        if not self.mended:
            raise DatabaseUnreachableError
        return await super().list(engine)


def test_owns_after_a_failed_query_does_not_query_again_at_once(
    connection: libvirt.virConnect, domain: libvirt.virDomain
):
    records, id = Unreadable(), domain.UUIDString()
    volume = connection.storagePoolLookupByName(POOL).storageVolLookupByName("v")
    with local_catalog(records) as catalog:
        assert not any(catalog.owns(connection, id, volume) for _ in range(100))
        assert records.asked == 1
        with pytest.raises(DatabaseUnreachableError):  # what decides asks again
            catalog.of_volume(connection, volume)
        records.mended = True
        record_of(catalog, connection, POOL, "v", owner=id)
        catalog.load(connection)
        assert catalog.owns(connection, id, volume)


class Cancelling(LocalVolumeRecords):
    """Records of a daemon that stops while it is asked, and ends all its tasks."""

    async def list(self, engine: str) -> list[VolumeRecord]:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.Event().wait()
        return []


def test_load_cancelled_by_the_end_of_the_daemon_is_unreachable(
    connection: libvirt.virConnect,
):
    with local_catalog(Cancelling()) as catalog, pytest.raises(DatabaseUnreachableError):
        catalog.load(connection)
