"""Storage pools that libvirt stops because it could not read them."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from proad.drivers.libvirt.storage import Storage
from proad.errors import VolumeNotFoundError
from proad.model import DiskFormat, VolumeRef
from unit.libvirt.ledgers import lone_ledger

pytestmark = pytest.mark.libvirt


@pytest.fixture
def pool(raw: libvirt.virConnect, tmp_path: Path) -> Iterator[libvirt.virStoragePool]:
    name = f"proa-test-{secrets.token_hex(4)}"
    pool = raw.storagePoolDefineXML(
        f"<pool type='dir'><name>{name}</name><target><path>{tmp_path}</path></target></pool>"
    )
    pool.create()
    yield pool
    if pool.isActive():
        pool.destroy()
    pool.undefine()


def test_a_look_for_a_volume_stops_no_pool(
    raw: libvirt.virConnect,
    pool: libvirt.virStoragePool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    refresh = libvirt.virStoragePool.refresh

    def unlucky(pool: libvirt.virStoragePool) -> None:
        shutil.rmtree(tmp_path)
        try:
            refresh(pool)
        finally:
            assert not pool.isActive()
            tmp_path.mkdir()

    monkeypatch.setattr(libvirt.virStoragePool, "refresh", unlucky)
    gone = VolumeRef(pool=pool.name(), name="gone")
    with lone_ledger() as ledger:
        storage = Storage("default", "/nowhere", ledger)
        with pytest.raises(VolumeNotFoundError):
            storage.volume(raw, gone)
        planned = ledger.plan(raw, pool=gone.pool, name=gone.name, format=DiskFormat.RAW)
        storage.delete_owned(raw, [planned], owner="")
        assert ledger.load(raw) == []
    assert pool.isActive()
