"""Missing or impossible images do not prevent deletes of others."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import MIB, Guests
from integration.libvirt.usage import define, disk, outside_folder, overlay, refused, run, volume
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.references import documents
from proad.errors import InUseError
from proad.model import Volume, VolumeRef, VolumeSpec

pytestmark = pytest.mark.libvirt

__all__ = ["outside_folder", "volume"]  # fixtures


@pytest.mark.parametrize(
    "path",
    ["/nowhere/at/all/x", "{file}/x", "{loop}", "{folder}/" + 300 * "x", "{folder}"],
    ids=["no folder", "below a file", "a loop", "too long", "a folder"],
)
async def test_delete_volume_beside_an_impossible_disk_works(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    path: str,
):
    file, loop = outside_folder / "file", outside_folder / "loop"
    file.write_bytes(b"")
    loop.symlink_to(loop)
    define(raw, guests, disk(path.format(file=file, loop=loop, folder=outside_folder)))
    await driver.delete_volume(volume.pool, volume.name)


@pytest.mark.parametrize("path", ["/nowhere/at/all/x", "{folder}", "{folder}/x"])
async def test_delete_volume_remotely_beside_impossible_disk_works(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
):
    stale = define(raw, guests, disk(path.format(folder=outside_folder)))
    unreadable = ""
    with monkeypatch.context() as patch:
        patch.setattr(pools, "is_local", lambda _: False)
        try:
            await driver.delete_volume(volume.pool, volume.name)
        except InUseError as error:  # about other domains of this host
            unreadable = error.metadata["unreadable"]
    assert stale.name() not in unreadable


async def test_delete_volume_remotely_beside_unreadable_disk_is_refused(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
):
    domain = define(raw, guests, disk(overlay(outside_folder / "overlay", volume.path)))
    with monkeypatch.context() as patch:
        patch.setattr(pools, "is_local", lambda _: False)
        error = await refused(driver, volume)
    assert f"domain {domain.name()}" in error.metadata["unreadable"].split(",")


@pytest.fixture
def mounted(raw: libvirt.virConnect) -> Iterator[libvirt.virStoragePool]:
    """A pool whose folder can be moved away."""
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    (folder / "mounted").mkdir(parents=True)
    folder.chmod(0o755)
    pool = raw.storagePoolDefineXML(
        f"<pool type='dir'><name>{folder.name}</name>"
        f"<target><path>{folder}/mounted</path></target></pool>"
    )
    pool.create()
    yield pool
    if pool.isActive():
        pool.destroy()
    pool.undefine()
    shutil.rmtree(folder)


async def test_delete_volume_with_missing_folder_reads_no_other_domains(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    mounted: libvirt.virStoragePool,
):
    volume = await driver.create_volume(
        VolumeSpec(pool=mounted.name(), name="v", capacity_bytes=MIB)
    )
    (outside_folder / "x").write_bytes(bytes(MIB))
    define(raw, guests, disk(outside_folder / "x"))
    Path(volume.path).unlink()
    Path(volume.path).parent.rmdir()
    await driver.delete_volume(volume.pool, volume.name)
    assert mounted.listAllVolumes() == []


@pytest.mark.parametrize("stopped", [True, False], ids=["pool stopped", "pool active"])
async def test_delete_base_of_volume_in_unmounted_folder_is_refused(
    driver: LibvirtDriver,
    mounted: libvirt.virStoragePool,
    volume: Volume,
    *,
    stopped: bool,
):
    base = VolumeRef(pool=volume.pool, name=volume.name)
    top = await driver.create_volume(VolumeSpec(pool=mounted.name(), name="top", base=base))
    folder = Path(top.path).parent
    if stopped:
        mounted.destroy()
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    error = await refused(driver, volume)
    assert error.metadata["used_by"] == f"volume {mounted.name()}/top"
    folder.rmdir()
    folder.with_name("elsewhere").rename(folder)
    if stopped:
        mounted.create()
    await driver.delete_volume(top.pool, top.name)
    await driver.delete_volume(volume.pool, volume.name)


async def test_delete_volume_in_unmounted_folder_keeps_other_records(
    driver: LibvirtDriver, mounted: libvirt.virStoragePool, volume: Volume
):
    base = VolumeRef(pool=volume.pool, name=volume.name)
    for name in ("top", "other"):
        top = await driver.create_volume(VolumeSpec(pool=mounted.name(), name=name, base=base))
    folder = Path(top.path).parent
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    await driver.delete_volume(mounted.name(), "top")
    error = await refused(driver, volume)
    assert error.metadata["used_by"] == f"volume {mounted.name()}/other"
    folder.rmdir()
    folder.with_name("elsewhere").rename(folder)
    (folder / "top").unlink()
    await driver.delete_volume(mounted.name(), "other")
    await driver.delete_volume(volume.pool, volume.name)


async def test_delete_base_of_removed_volume_succeeds(
    driver: LibvirtDriver, mounted: libvirt.virStoragePool, volume: Volume
):
    base = VolumeRef(pool=volume.pool, name=volume.name)
    top = await driver.create_volume(VolumeSpec(pool=mounted.name(), name="top", base=base))
    Path(top.path).unlink()
    mounted.refresh()
    await driver.delete_volume(volume.pool, volume.name)


async def test_delete_volume_beside_a_broken_image_in_a_new_pool_works(
    outside_folder: Path,
    driver: LibvirtDriver,
    raw: libvirt.virConnect,
    volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
):
    base = outside_folder / "base"
    run("qemu-img", "create", "-f", "qcow2", base, MIB)
    overlay(outside_folder / "broken", base)
    base.unlink()
    all_pools = pools.all_pools
    made: list[libvirt.virStoragePool] = []

    def overtaken(connection: libvirt.virConnect) -> list[pools.StoragePool]:
        found = all_pools(connection)
        if not made:
            made.append(
                raw.storagePoolCreateXML(
                    f"<pool type='dir'><name>{outside_folder.name}</name>"
                    f"<target><path>{outside_folder}</path></target></pool>"
                )
            )
        return found

    monkeypatch.setattr(pools, "all_pools", overtaken)
    try:
        await driver.delete_volume(volume.pool, volume.name)
    finally:
        made[0].destroy()


async def test_documents_after_the_saved_state_has_gone_include_the_snapshot(
    guests: Guests, raw: libvirt.virConnect, driver: LibvirtDriver
):
    volume = await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-a", capacity_bytes=MIB))
    domain = define(raw, guests, disk(volume.path))
    domain.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>")
    assert not domain.hasManagedSaveImage()
    roots = [root for root, _ in documents(domain, snapshots=True, saved=True)]
    assert [None if root is None else root.tag for root in roots] == ["domain", "domainsnapshot"]
