"""Obligations of `Volumes.record_volume`: volumes that others made, past the driver."""

import asyncio
from pathlib import Path
from typing import Protocol

import libvirt
import pytest

from contract.domains import MEMORY, MIB
from contract.harness import DriverHarness
from proad.drivers.memory import MemoryDriver
from proad.errors import InUseError, InvalidArgumentError, VolumeNotFoundError
from proad.model import DiskFormat, DiskSpec, DomainSpec, VolumeRef, VolumeSpec

_XML = "<volume><name>{name}</name><capacity>{bytes}</capacity><target><format type='qcow2'/></target>{base}</volume>"
_BASE = "<backingStore><path>{path}</path><format type='qcow2'/></backingStore>"


class ForeignVolumes(Protocol):
    """Makes volumes with the engine's own means."""

    async def make(self, name: str, base: str = "") -> None:
        """Make a qcow2 volume in the default pool, or one in place of the volume of that name."""


class MemoryForeignVolumes:
    def __init__(self, driver: MemoryDriver) -> None:
        self._driver = driver

    async def make(self, name: str, base: str = "") -> None:
        self._driver.put_volume(name, MIB, base=VolumeRef(name=base) if base else None)


class LibvirtForeignVolumes:
    def __init__(self, connection: libvirt.virConnect, pool: str) -> None:
        self._pool = connection.storagePoolLookupByName(pool)

    async def make(self, name: str, base: str = "") -> None:
        def make() -> None:
            known = {each.name(): each for each in self._pool.listAllVolumes()}
            below = _BASE.format(path=known[base].path()) if base else ""
            if name in known:
                known[name].delete()
            made = self._pool.createXML(_XML.format(name=name, bytes=MIB, base=below))
            assert Path(made.path()).exists()

        await asyncio.to_thread(make)


class ForeignVolumesContract:
    async def _id_of(self, harness: DriverHarness, name: str) -> str:
        (found,) = (each for each in await harness.volumes.list_volumes() if each.name == name)
        return found.record_id

    async def _delete(self, harness: DriverHarness, *names: str) -> None:
        for name in names:
            await harness.volumes.delete_volume("", name)

    async def test_record_volume_of_others_names_it_for_good(
        self, harness: DriverHarness, foreign: ForeignVolumes
    ):
        name = harness.new_name()
        await foreign.make(name)
        assert await self._id_of(harness, name) == ""

        recorded = await harness.volumes.record_volume("", name)

        assert (recorded.name, recorded.format) == (name, DiskFormat.QCOW2)
        assert recorded.record_id in await harness.volumes.recorded_volumes()
        assert recorded in await harness.volumes.list_volumes(recorded.pool)
        assert await harness.volumes.record_volume(recorded.pool, name) == recorded
        await self._delete(harness, name)
        assert recorded.record_id not in await harness.volumes.recorded_volumes()

    async def test_record_volume_is_not_of_another_in_its_place(
        self, harness: DriverHarness, foreign: ForeignVolumes
    ):
        name = harness.new_name()
        await foreign.make(name)
        before = (await harness.volumes.record_volume("", name)).record_id
        await foreign.make(name)
        assert await self._id_of(harness, name) == ""
        after = (await harness.volumes.record_volume("", name)).record_id
        assert after not in {"", before}
        await self._delete(harness, name)

    async def test_record_volume_that_proa_made_has_its_own_record(self, harness: DriverHarness):
        spec = VolumeSpec(name=harness.new_name(), capacity_bytes=MIB)
        made = await harness.volumes.create_volume(spec)
        assert await harness.volumes.record_volume(made.pool, made.name) == made
        await self._delete(harness, made.name)

    async def test_record_volume_missing_is_not_found(self, harness: DriverHarness):
        with pytest.raises(VolumeNotFoundError):
            await harness.volumes.record_volume("", harness.new_name())

    async def test_record_volume_with_a_base_of_others_is_refused(
        self, harness: DriverHarness, foreign: ForeignVolumes
    ):
        base, name = harness.new_name(), harness.new_name()
        await foreign.make(base)
        await foreign.make(name, base)
        with pytest.raises(InvalidArgumentError, match=base):
            await harness.volumes.record_volume("", name)
        assert await self._id_of(harness, name) == ""
        await self._delete(harness, name, base)

    async def test_record_volume_that_others_use_is_refused(
        self, harness: DriverHarness, foreign: ForeignVolumes
    ):
        base, name = harness.new_name(), harness.new_name()
        await foreign.make(base)
        await foreign.make(name, base)
        top = next(each for each in await harness.volumes.list_volumes() if each.name == name)
        user = f"volume {top.pool}/{name}"
        with pytest.raises(InUseError, match=user):
            await harness.volumes.record_volume("", base, ours=["domain none"])
        assert await self._id_of(harness, base) == ""
        assert (await harness.volumes.record_volume("", base, ours=[user])).record_id
        assert (await harness.volumes.record_volume("", base)).record_id
        await self._delete(harness, name, base)

    async def test_record_volume_that_is_a_disk_is_for_the_owner_of_the_domain_alone(
        self, harness: DriverHarness, foreign: ForeignVolumes
    ):
        name = harness.new_name()
        await foreign.make(name)
        spec = DomainSpec(
            name=harness.new_name(),
            memory_bytes=MEMORY,
            disks=(DiskSpec(volume=VolumeRef(name=name, format=DiskFormat.QCOW2)),),
            networkless=True,
        )
        made = await harness.domains.create_domain(spec)
        with pytest.raises(InUseError, match=f"domain {made.name}"):
            await harness.volumes.record_volume("", name, ours=[])
        recorded = await harness.volumes.record_volume("", name, ours=[f"domain {made.name}"])
        assert recorded.format is DiskFormat.QCOW2
        await harness.driver.delete(made.id)
        await self._delete(harness, name)
