"""Obligations of `Volumes`."""

import pytest

from contract.domains import MEMORY, MIB
from contract.harness import PREFIX, SCRAP, DriverHarness
from proad.errors import (
    AlreadyExistsError,
    InUseError,
    InvalidArgumentError,
    PoolNotFoundError,
    VolumeNotFoundError,
)
from proad.model import DiskFormat, DiskSpec, DomainSpec, NewDisk, VolumeRef, VolumeSpec, validate

# Names of externally made files, each with an identifying prefix.
ODD_NAMES = [
    "{} Win 11 (x64) [v2].iso",
    "{} Grüße aus Köln.qcow2",
    "{} 桌面 \N{NO-BREAK SPACE}🖥.img",
    '{}\'s "best" <disk> & more; $(true) `true` %s',
    "{}, with=commas:and,colons?a#b\\c",
    "{} trailing ",
    ".{}",
    "-{}",
    "nbd:{}",
    "{}" + "x" * (255 - len(PREFIX) - 8),
]


class VolumesContract:
    @pytest.mark.parametrize("format", [DiskFormat.QCOW2, DiskFormat.RAW])
    async def test_volume_created_listed_and_deleted(
        self, harness: DriverHarness, format: DiskFormat
    ):
        spec = VolumeSpec(name=harness.new_name(), capacity_bytes=3 * MIB, format=format)
        made = await harness.volumes.create_volume(spec)
        assert (made.name, made.format, made.capacity_bytes) == (spec.name, format, 3 * MIB)
        assert made.pool
        assert made.path.endswith(f"/{spec.name}")
        assert (made.base_path, made.host) == ("", "")
        for pool in ("", made.pool):
            assert made in await harness.volumes.list_volumes(pool)
        assert made.record_id in await harness.volumes.recorded_volumes()
        await harness.volumes.delete_volume("", made.name)
        assert made.record_id not in await harness.volumes.recorded_volumes()
        assert made.name not in [each.name for each in await harness.volumes.list_volumes()]
        with pytest.raises(VolumeNotFoundError):
            await harness.volumes.delete_volume(made.pool, made.name)

    async def test_create_volume_preallocated_takes_its_space(self, harness: DriverHarness):
        spec = VolumeSpec(
            name=harness.new_name(),
            capacity_bytes=2 * MIB,
            format=DiskFormat.RAW,
            preallocate=True,
        )
        made = await harness.volumes.create_volume(spec)
        assert made.allocation_bytes >= 2 * MIB

    async def test_create_volume_with_base_is_its_overlay(self, harness: DriverHarness):
        base = await harness.volumes.create_volume(
            VolumeSpec(name=harness.new_name(), capacity_bytes=2 * MIB)
        )
        spec = VolumeSpec(name=harness.new_name(), base=VolumeRef(name=base.name))
        child = await harness.volumes.create_volume(spec)
        assert (child.capacity_bytes, child.base_path) == (2 * MIB, base.path)
        with pytest.raises(InUseError) as caught:
            await harness.volumes.delete_volume(base.pool, base.name)
        assert child.name in caught.value.metadata["used_by"]
        assert base.name in [each.name for each in await harness.volumes.list_volumes()]
        await harness.volumes.delete_volume(child.pool, child.name)
        await harness.volumes.delete_volume(base.pool, base.name)

    async def test_create_domain_other_volume_format_is_refused(self, harness: DriverHarness):
        spec = VolumeSpec(name=harness.new_name(), capacity_bytes=MIB, format=DiskFormat.RAW)
        made = await harness.volumes.create_volume(spec)
        base = VolumeRef(name=made.name, format=DiskFormat.QCOW2)
        with pytest.raises(InvalidArgumentError) as caught:
            await harness.volumes.create_volume(VolumeSpec(name=harness.new_name(), base=base))
        assert [each.field for each in caught.value.violations] == ["spec.base.format"]
        for disk, field in (
            (DiskSpec(volume=base), "spec.disks[0].volume.format"),
            (DiskSpec(new_volume=NewDisk(base=base)), "spec.disks[0].new_volume.base.format"),
        ):
            domain = DomainSpec(name=harness.new_name(), memory_bytes=MEMORY, disks=(disk,))
            with pytest.raises(InvalidArgumentError) as caught:
                await harness.domains.create_domain(domain)
            assert [each.field for each in caught.value.violations] == [field]

    @pytest.mark.parametrize("name", ODD_NAMES)
    async def test_existing_volume_with_odd_name_can_be_used(
        self, harness: DriverHarness, name: str
    ):
        name = name.format(harness.new_name())
        # Made externally: Proa's own rule is for new names alone.
        made = await harness.volumes.create_volume(VolumeSpec(name=name, capacity_bytes=MIB))
        assert made in await harness.volumes.list_volumes(made.pool)
        ref = {"pool": made.pool, "name": name}
        clone = validate(VolumeSpec, {"name": harness.new_name(), "base": ref})
        assert (await harness.volumes.create_volume(clone)).base_path == made.path
        await harness.volumes.delete_volume("", clone.name)
        spec = {"name": harness.new_name(), "memory_bytes": MEMORY, "networkless": True}
        # One is a medium, the other a disk: the same file cannot be both.
        for part in ({"diskless": True, "cdroms": [{"volume": ref}]}, {"disks": [{"volume": ref}]}):
            domain = await harness.domains.create_domain(
                validate(DomainSpec, spec | part), start=True
            )
            assert domain.domain is not None
            (disk,) = domain.domain.disks
            assert (disk.path, disk.volume) == (made.path, VolumeRef(pool=made.pool, name=name))
            with pytest.raises(InUseError):
                await harness.volumes.delete_volume(made.pool, name)
            await harness.driver.delete(domain.id, SCRAP)
        await harness.volumes.delete_volume(made.pool, name)
        assert name not in [each.name for each in await harness.volumes.list_volumes()]

    async def test_create_volume_taken_name_is_refused(self, harness: DriverHarness):
        spec = VolumeSpec(name=harness.new_name(), capacity_bytes=MIB)
        made = await harness.volumes.create_volume(spec)
        with pytest.raises(AlreadyExistsError):
            await harness.volumes.create_volume(VolumeSpec(name=spec.name, capacity_bytes=2 * MIB))
        assert made in await harness.volumes.list_volumes()

    async def test_volume_missing_is_not_found(self, harness: DriverHarness):
        nothing = harness.new_name()
        with pytest.raises(VolumeNotFoundError):
            await harness.volumes.delete_volume("", nothing)
        with pytest.raises(PoolNotFoundError, match=f"no pool '{nothing}'"):
            await harness.volumes.list_volumes(nothing)
        with pytest.raises(PoolNotFoundError, match=f"no pool '{nothing}'"):
            await harness.volumes.create_volume(
                VolumeSpec(pool=nothing, name=nothing, capacity_bytes=MIB)
            )
        with pytest.raises(VolumeNotFoundError):
            await harness.volumes.create_volume(
                VolumeSpec(name=harness.new_name(), base=VolumeRef(name=nothing))
            )

    @pytest.mark.parametrize("start", [False, True])
    async def test_delete_volume_in_use_is_refused(self, harness: DriverHarness, *, start: bool):
        volume = await harness.volumes.create_volume(
            VolumeSpec(name=harness.new_name(), capacity_bytes=MIB)
        )
        spec = DomainSpec(
            name=harness.new_name(),
            memory_bytes=MEMORY,
            disks=(DiskSpec(volume=VolumeRef(name=volume.name, pool=volume.pool)),),
            networkless=True,
        )
        made = await harness.domains.create_domain(spec, start=start)
        with pytest.raises(InUseError) as caught:
            await harness.volumes.delete_volume(volume.pool, volume.name)
        assert made.name in caught.value.metadata["used_by"]
        assert volume.name in [each.name for each in await harness.volumes.list_volumes()]
