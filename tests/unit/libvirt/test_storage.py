"""Pools that others stop or remove while we look through them."""

import secrets
from collections.abc import Iterator
from uuid import uuid4

import libvirt
import pytest

from proad.drivers.libvirt.events import start_event_loop
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.delete import candidate_of
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.storage.storage import Storage
from proad.drivers.libvirt.storage.usage import Usage, Users
from proad.drivers.tolerant import Omissions
from proad.errors import EngineConflictError, VolumeNotFoundError
from proad.model import VolumeRef
from unit.libvirt.catalogs import HOST, local_catalog, record_of

MINE, OTHERS = "proa-test-mine", "proa-test-others"
VOLUME = "<volume><name>v</name><capacity>1024</capacity></volume>"


@pytest.fixture
def connection() -> Iterator[libvirt.virConnect]:
    """libvirt's test hypervisor, with two pools and a volume in each."""
    start_event_loop()
    connection = libvirt.open("test:///default")
    for name in (MINE, OTHERS):
        pool = connection.storagePoolDefineXML(
            f"<pool type='dir'><name>{name}</name><target><path>/{name}</path></target></pool>"
        )
        pool.create()
        pool.createXML(VOLUME)
    yield connection
    for pool in connection.listAllStoragePools():
        if pool.name() in {MINE, OTHERS}:
            if pool.isActive():
                pool.destroy()
            pool.undefine()
    connection.close()


@pytest.fixture
def catalog() -> Iterator[VolumeCatalog]:
    with local_catalog() as catalog:
        yield catalog


@pytest.fixture
def storage(catalog: VolumeCatalog) -> Storage:
    return Storage(Finder("default-pool", "/default-pool"), catalog)


def stop(connection: libvirt.virConnect, name: str, *, remove: bool) -> None:
    pool = connection.storagePoolLookupByName(name)
    pool.destroy()
    if remove:
        pool.undefine()


@pytest.fixture(params=[False, True], ids=["stopped", "removed"])
def ended(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody ends the others' pool when we have just listed it."""
    listed = libvirt.virConnect.listAllStoragePools

    def overtaken(connection: libvirt.virConnect, flags: int = 0) -> list[libvirt.virStoragePool]:
        pools: list[libvirt.virStoragePool] = listed(connection, flags)
        if OTHERS in {pool.name() for pool in pools if pool.isActive()}:
            stop(connection, OTHERS, remove=request.param)
        return pools

    monkeypatch.setattr(libvirt.virConnect, "listAllStoragePools", overtaken)


@pytest.mark.usefixtures("ended")
def test_list_with_a_pool_that_stops_meanwhile_leaves_the_pool_out(
    connection: libvirt.virConnect, storage: Storage
):
    found = {volume.pool for volume in storage.list(connection)}
    assert MINE in found
    assert OTHERS not in found


@pytest.mark.usefixtures("ended")
def test_usage_with_a_pool_that_stops_meanwhile_is_empty(connection: libvirt.virConnect):
    volume = connection.storagePoolLookupByName(MINE).storageVolLookupByName("v")
    usage = Usage(connection, pools.images(connection))
    assert usage.of(candidate_of(volume)) == Users()


@pytest.mark.usefixtures("ended")
def test_delete_owned_with_a_pool_that_stops_meanwhile_deletes_the_volume(
    connection: libvirt.virConnect, storage: Storage, catalog: VolumeCatalog
):
    owner = str(uuid4())
    mine = record_of(catalog, connection, MINE, "v", owner=owner)
    storage.deleter.delete_owned(connection, [mine], owner=owner)
    with pytest.raises(VolumeNotFoundError):
        storage.find.volume(connection, VolumeRef(pool=MINE, name="v"))
    assert catalog.load(connection) == []


def test_delete_owned_in_a_stopped_pool_is_refused_and_keeps_the_record(
    connection: libvirt.virConnect, storage: Storage, catalog: VolumeCatalog
):
    theirs = record_of(catalog, connection, OTHERS, "v", owner=str(uuid4()))
    stop(connection, OTHERS, remove=False)
    with pytest.raises(EngineConflictError, match="pool-start"):
        storage.deleter.delete_owned(connection, [theirs], owner=theirs.owner)
    assert catalog.load(connection) == [theirs]
    with pytest.raises(EngineConflictError, match="pool-start"):
        storage.list(connection, OTHERS)


@pytest.mark.parametrize("remove", [False, True], ids=["stopped", "removed"])
def test_full_view_with_a_disk_in_a_missing_or_stopped_pool_is_read(
    connection: libvirt.virConnect, catalog: VolumeCatalog, *, remove: bool
):
    domain = connection.defineXML(
        f"<domain type='test'><name>proa-test-{secrets.token_hex(4)}</name>"
        "<memory>1024</memory><os><type>hvm</type></os><devices><disk type='volume'>"
        f"<source pool='{OTHERS}' volume='v'/><target dev='vda'/></disk></devices></domain>"
    )
    try:
        stop(connection, OTHERS, remove=remove)
        details = DomainReader(catalog, lambda _: HOST, Omissions("libvirt")).full(domain).domain
        assert details is not None
        (disk,) = details.disks
        assert disk.volume == VolumeRef(pool=OTHERS, name="v")
    finally:
        domain.undefine()


def test_pool_stopped_with_an_odd_name_advises_a_quoted_command(connection):
    name = f"proa-test $({MINE})"
    pool = connection.storagePoolDefineXML(
        f"<pool type='dir'><name>{name}</name><target><path>/x</path></target></pool>"
    )
    try:
        with pytest.raises(EngineConflictError) as caught:
            Finder(MINE, "").pool(connection, name)
    finally:
        pool.undefine()
    assert f"`virsh pool-start '{name}'`" in caught.value.message
