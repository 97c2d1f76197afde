"""What becomes of the records of volumes when domains and volumes went without us."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import libvirt
import pytest

from proad.core.records import RecordState, VolumeRecord
from proad.drivers.libvirt.bookkeeping import compare
from proad.drivers.libvirt.events import start_event_loop
from proad.drivers.libvirt.ledger import Ledger
from proad.drivers.records import LoneRecords
from proad.errors import DatabaseUnreachableError
from proad.model import DiskFormat
from unit.libvirt.ledgers import lone_ledger, record_of

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
def ledger() -> Iterator[Ledger]:
    with lone_ledger() as ledger:
        yield ledger


@pytest.fixture
def domain(connection: libvirt.virConnect) -> libvirt.virDomain:
    return connection.lookupByName("test")


def delete_volume(connection: libvirt.virConnect) -> None:
    connection.storagePoolLookupByName(POOL).storageVolLookupByName("v").delete()


def test_a_volume_whose_domain_is_there_goes_with_it(
    connection: libvirt.virConnect, ledger: Ledger, domain: libvirt.virDomain
):
    record = record_of(ledger, connection, POOL, "v", owner=domain.UUIDString())
    compare(connection, ledger)
    delete_volume(connection)  # its pool may be an unmounted folder for now
    compare(connection, ledger)
    assert ledger.load(connection) == [record]


def test_a_volume_whose_domain_went_becomes_ordinary(
    connection: libvirt.virConnect, ledger: Ledger
):
    record = record_of(ledger, connection, POOL, "v", owner=str(uuid4()))
    compare(connection, ledger)
    assert ledger.load(connection) == [replace(record, state=RecordState.ORDINARY, owner="")]
    assert ledger.made_for(connection, record.owner) == []


@pytest.mark.parametrize("owned", [False, True])
def test_a_record_ends_with_its_volume(
    connection: libvirt.virConnect, ledger: Ledger, *, owned: bool
):
    record_of(ledger, connection, POOL, "v", owner=str(uuid4()) if owned else "")
    delete_volume(connection)
    compare(connection, ledger)
    assert ledger.load(connection) == []


def test_a_pool_that_is_away_ends_nothing(connection: libvirt.virConnect, ledger: Ledger):
    record = record_of(ledger, connection, POOL, "v")
    connection.storagePoolLookupByName(POOL).destroy()
    try:
        compare(connection, ledger)
        assert ledger.load(connection) == [record]
    finally:
        connection.storagePoolLookupByName(POOL).create()


def test_what_is_young_is_left_alone(connection: libvirt.virConnect, ledger: Ledger):
    record = record_of(ledger, connection, POOL, "v", owner=str(uuid4()))
    compare(connection, ledger, older_than=datetime.now(UTC) - timedelta(hours=1))
    assert ledger.load(connection) == [record]


@pytest.mark.parametrize("name", ["v", "never made"])
def test_a_plan_that_cannot_be_proved_ends(
    connection: libvirt.virConnect, ledger: Ledger, name: str
):
    ledger.plan(connection, pool=POOL, name=name, format=DiskFormat.RAW)
    compare(connection, ledger)
    assert ledger.load(connection) == []


def test_without_records_nothing_is_owned_and_nothing_is_deleted(
    connection: libvirt.virConnect,
):
    class Broken(LoneRecords):
        async def list(self, engine: str) -> list[VolumeRecord]:
            raise DatabaseUnreachableError

    volume = connection.storagePoolLookupByName(POOL).storageVolLookupByName("v")
    with lone_ledger(Broken()) as ledger:
        assert not ledger.owns(connection, str(uuid4()), volume)
        with pytest.raises(DatabaseUnreachableError):
            ledger.made_for(connection, str(uuid4()))


class Unreadable(LoneRecords):
    """Records whose database does not answer, until it is mended."""

    asked = 0
    mended = False

    async def list(self, engine: str) -> list[VolumeRecord]:
        self.asked += 1
        if not self.mended:
            raise DatabaseUnreachableError
        return await super().list(engine)


def test_views_do_not_each_wait_for_a_database_that_does_not_answer(
    connection: libvirt.virConnect, domain: libvirt.virDomain
):
    records, id = Unreadable(), domain.UUIDString()
    volume = connection.storagePoolLookupByName(POOL).storageVolLookupByName("v")
    with lone_ledger(records) as ledger:
        assert not any(ledger.owns(connection, id, volume) for _ in range(100))
        assert records.asked == 1
        with pytest.raises(DatabaseUnreachableError):  # what decides asks again
            ledger.of_volume(connection, volume)
        records.mended = True
        record_of(ledger, connection, POOL, "v", owner=id)
        ledger.load(connection)
        assert ledger.owns(connection, id, volume)


class Stopping(LoneRecords):
    """Records of a daemon that stops while it is asked, and ends all its tasks."""

    async def list(self, engine: str) -> list[VolumeRecord]:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(60)
        return []


def test_a_question_that_ends_with_the_daemon_tells_that_nobody_can_tell(
    connection: libvirt.virConnect,
):
    with lone_ledger(Stopping()) as ledger, pytest.raises(DatabaseUnreachableError):
        ledger.load(connection)
