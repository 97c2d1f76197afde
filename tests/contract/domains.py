"""Obligations of `Domains`."""

import asyncio
import re
from dataclasses import asdict, replace
from uuid import UUID, uuid4

import pytest

from contract.driver_watcher import DriverWatcher
from contract.harness import DriverHarness
from eventually import consistently, eventually
from proad.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    VolumeNotFoundError,
)
from proad.model import (
    CdromSpec,
    DeleteOptions,
    DiskBus,
    DiskDevice,
    DiskFormat,
    DiskSpec,
    DomainSpec,
    DomainXml,
    Footprint,
    GraphicsSpec,
    GraphicsType,
    Lifetime,
    NetworkSpec,
    NewDisk,
    Resource,
    ResourceKind,
    ResourceState,
    StopMode,
    StopOptions,
    VolumeRef,
    VolumeSpec,
    validate,
)
from resource_details import domain_spec_of

MIB = 2**20
MEMORY = 64 * MIB


def new_disk(*, name: str = "", mib: int = 1, **more: object) -> DiskSpec:
    return DiskSpec(new_volume=NewDisk(capacity_bytes=mib * MIB, volume_name=name), **more)  # type: ignore[arg-type] # typed by DiskSpec


def volume_of(domain: Resource) -> str:
    """Return the name of the volume of the first disk."""
    assert domain.domain is not None
    volume = domain.domain.disks[0].volume
    assert volume is not None
    return volume.name


class DomainsContract:
    async def test_create_disk_without_target_is_vda(self, harness: DriverHarness):
        name = harness.new_name()
        made = await harness.domains.create_domain(
            DomainSpec(name=name, memory_bytes=MEMORY, networkless=True)
        )
        assert str(UUID(made.id)) == made.id
        assert (made.kind, made.state) == (ResourceKind.DOMAIN, ResourceState.STOPPED)
        assert made.domain is not None
        (disk,) = made.domain.disks
        assert (disk.target, disk.bus, disk.format) == ("vda", DiskBus.VIRTIO, DiskFormat.QCOW2)
        assert disk.owned
        assert disk.volume is not None
        assert re.fullmatch(rf"{name}-vda-[0-9a-f]{{8}}\.qcow2", disk.volume.name)
        volumes = {volume.name: volume for volume in await harness.volumes.list_volumes()}
        assert volumes[disk.volume.name].capacity_bytes == 10 * 2**30
        assert volumes[disk.volume.name].path == disk.path
        await harness.check(made)

    async def test_create_domain_has_everything_requested(self, harness: DriverHarness):
        name, uuid = harness.new_name(), str(uuid4())
        existing = await harness.volumes.create_volume(
            VolumeSpec(name=f"{name}-data", capacity_bytes=MIB, format=DiskFormat.RAW)
        )
        spec = DomainSpec(
            name=name,
            uuid=uuid,
            title="A title",
            description="Two lines\nof <text> & more",
            memory_bytes=MEMORY,
            vcpus=2,
            cdroms=(CdromSpec(), CdromSpec()),
            disks=(
                new_disk(),
                DiskSpec(volume=VolumeRef(name=existing.name, pool=existing.pool), read_only=True),
            ),
            networkless=True,
            graphics=GraphicsSpec(type=GraphicsType.NONE),
            labels={"tier": "<&'\">", "empty": ""},
        )
        made = await harness.domains.create_domain(spec)
        assert (made.id, made.name, made.labels) == (uuid, name, spec.labels)
        shown = made.domain
        assert shown is not None
        assert (shown.memory_bytes, shown.max_memory_bytes, shown.vcpus) == (MEMORY, MEMORY, 2)
        assert shown.graphics is None
        assert shown.networks == ()
        assert (shown.runtime_id, shown.has_saved_state, shown.snapshot_count) == (0, False, 0)
        disks = {disk.target: disk for disk in shown.disks}
        assert {"vda", "vdb", "sda", "sdb"} == set(disks)
        drives = [disk for disk in shown.disks if disk.device is DiskDevice.CDROM]
        assert [drive.path for drive in drives] == ["", ""]
        assert (disks["vda"].owned, disks["vda"].read_only) == (True, False)
        assert (disks["vdb"].owned, disks["vdb"].read_only) == (False, True)
        assert disks["vdb"].volume == VolumeRef(name=existing.name, pool=existing.pool)
        assert disks["vdb"].format is DiskFormat.RAW
        assert shown.spec_omits == ()
        own = disks["vda"].volume
        assert own is not None
        assert domain_spec_of(made) == replace(
            spec,
            disks=(
                DiskSpec(volume=replace(own, format=disks["vda"].format)),
                DiskSpec(
                    volume=VolumeRef(name=existing.name, pool=existing.pool, format=DiskFormat.RAW),
                    read_only=True,
                ),
            ),
            boot_order=spec.effective_boot_order,
            machine=shown.machine,
            video=domain_spec_of(made).video,
        )
        await harness.check(made)

    async def test_find_running_follows_the_number_of_the_run(self, harness: DriverHarness):
        find = harness.domains.find_running
        made = await harness.make(start=True)
        number = await self._number(harness, made.id)
        assert await find(number) == made.id
        await harness.driver.stop(made.id, StopOptions(mode=StopMode.FORCE))
        assert await self._number(harness, made.id) == 0
        assert await find(number) == ""
        await harness.driver.start(made.id)
        again = await self._number(harness, made.id)
        assert again != number
        assert (await find(number), await find(again)) == ("", made.id)
        assert await find(999_999_999) == ""

    async def _number(self, harness: DriverHarness, id: str) -> int:
        shown = (await harness.driver.get_resource(id)).domain
        assert shown is not None
        return shown.runtime_id

    @pytest.mark.parametrize("start", [False, True])
    async def test_create_unknown_network_names_field(
        self,
        harness: DriverHarness,
        start: bool,  # noqa: FBT001 - a parameter of the test
    ):
        name = harness.new_name()
        network = f"missing-{name}"
        spec = DomainSpec(
            name=name,
            memory_bytes=MEMORY,
            disks=(new_disk(),),
            networks=(NetworkSpec(network=network),),
        )
        before = await harness.volume_names()
        with pytest.raises(InvalidArgumentError) as caught:
            await harness.domains.create_domain(spec, start=start)
        (violation,) = caught.value.violations
        assert violation.field == "spec.networks[0].network"
        assert network in violation.description
        assert await harness.named(name) == []
        assert await harness.volume_names() == before

    async def test_create_uuid_spelled_otherwise_is_same_domain(self, harness: DriverHarness):
        uuid = uuid4()
        spec = DomainSpec(
            name=harness.new_name(), memory_bytes=MEMORY, diskless=True, networkless=True
        )
        spelled = validate(DomainSpec, asdict(spec) | {"uuid": uuid.hex.upper()})
        assert (await harness.domains.create_domain(spelled)).id == str(uuid)
        xml = f"<domain><name>{harness.new_name()}</name><uuid>{uuid.hex.upper()}</uuid><memory>65536</memory></domain>"
        with pytest.raises(AlreadyExistsError) as caught:
            await harness.domains.create_domain_from_xml(DomainXml(xml=xml))
        assert caught.value.metadata["existing_id"] == str(uuid)
        assert "another UUID" in str(caught.value)
        assert "another name" not in str(caught.value)

    async def test_create_with_start_is_running(self, harness: DriverHarness):
        spec = DomainSpec(
            name=harness.new_name(), memory_bytes=MEMORY, diskless=True, networkless=True
        )
        made = await harness.domains.create_domain(spec, start=True)
        assert made.state is ResourceState.RUNNING
        assert made.domain is not None
        assert made.domain.runtime_id > 0
        assert made.domain.disks == ()
        await harness.check(made)

    async def test_create_transient_is_running(self, harness: DriverHarness):
        spec = DomainSpec(
            name=harness.new_name(),
            memory_bytes=MEMORY,
            diskless=True,
            networkless=True,
            lifetime=Lifetime.TRANSIENT,
        )
        made = await harness.domains.create_domain(spec)
        assert (made.state, made.lifetime) == (ResourceState.RUNNING, Lifetime.TRANSIENT)

    async def test_create_new_volume_with_a_base_is_its_overlay(self, harness: DriverHarness):
        name = harness.new_name()
        base = await harness.volumes.create_volume(
            VolumeSpec(name=f"{name}-base", capacity_bytes=2 * MIB)
        )
        disk = NewDisk(base=VolumeRef(name=base.name, pool=base.pool))
        spec = DomainSpec(
            name=name,
            memory_bytes=MEMORY,
            disks=(DiskSpec(new_volume=disk),),
            networkless=True,
        )
        created = await harness.domains.create_domain(spec)
        volumes = {volume.name: volume for volume in await harness.volumes.list_volumes()}
        made = volumes[volume_of(created)]
        assert made.base_path == base.path
        assert made.capacity_bytes == 2 * MIB

    @pytest.mark.parametrize("what", ["name", "uuid"])
    async def test_create_taken_identity_leaves_nothing(self, harness: DriverHarness, what: str):
        first = await harness.make()
        name = first.name if what == "name" else harness.new_name()
        volume = harness.new_name()
        before = await harness.volume_names()
        spec = DomainSpec(
            name=name,
            uuid=first.id if what == "uuid" else "",
            memory_bytes=MEMORY,
            disks=(new_disk(name=volume),),
            networkless=True,
        )
        with pytest.raises(AlreadyExistsError) as caught:
            await harness.domains.create_domain(spec)
        assert caught.value.metadata["existing_id"] == first.id
        assert await harness.volume_names() == before
        assert (await harness.driver.get_resource(first.id)).name == first.name
        assert len(await harness.named(name)) == (1 if what == "name" else 0)

    async def test_create_taken_volume_leaves_nothing(self, harness: DriverHarness):
        taken = await harness.volumes.create_volume(
            VolumeSpec(name=harness.new_name(), capacity_bytes=MIB)
        )
        name = harness.new_name()
        before = await harness.volume_names()
        spec = DomainSpec(
            name=name,
            memory_bytes=MEMORY,
            disks=(new_disk(), new_disk(name=taken.name)),
            networkless=True,
        )
        with pytest.raises(AlreadyExistsError):
            await harness.domains.create_domain(spec)
        assert await harness.named(name) == []
        assert await harness.volume_names() == before

    @pytest.mark.parametrize("missing", ["volume", "base", "pool", "medium"])
    async def test_create_missing_volume_leaves_nothing(self, harness: DriverHarness, missing: str):
        name = harness.new_name()
        nothing = VolumeRef(name=harness.new_name())
        wrong = {
            "volume": DiskSpec(volume=nothing),
            "base": DiskSpec(new_volume=NewDisk(base=nothing)),
            "pool": DiskSpec(new_volume=NewDisk(capacity_bytes=MIB, pool=harness.new_name())),
        }
        before = await harness.volume_names()
        spec = DomainSpec(
            name=name,
            memory_bytes=MEMORY,
            cdroms=(CdromSpec(volume=nothing),) if missing == "medium" else (),
            disks=(new_disk(), *([wrong[missing]] if missing in wrong else [])),
            networkless=True,
        )
        with pytest.raises(VolumeNotFoundError):
            await harness.domains.create_domain(spec, start=True)
        assert await harness.named(name) == []
        assert await harness.volume_names() == before

    @pytest.mark.parametrize("after", [0.0, 0.01, 0.05])
    async def test_create_cancelled_leaves_nothing(self, harness: DriverHarness, after: float):
        name = harness.new_name()
        spec = DomainSpec(
            name=name, memory_bytes=MEMORY, disks=(new_disk(), new_disk()), networkless=True
        )
        create = asyncio.create_task(harness.domains.create_domain(spec, start=True))
        await asyncio.sleep(after)
        if not create.cancel():
            return  # it was made before it could be cancelled
        with pytest.raises(asyncio.CancelledError):
            await create

        async def gone() -> bool:
            volumes = await harness.volume_names()
            return not await harness.named(name) and not any(v.startswith(name) for v in volumes)

        await eventually(gone)
        await consistently(gone, during=0.3)

    @pytest.mark.parametrize("keep", [False, True])
    async def test_delete_domain_deletes_its_own_volumes(
        self, harness: DriverHarness, *, keep: bool
    ):
        name = harness.new_name()
        other = await harness.volumes.create_volume(
            VolumeSpec(name=harness.new_name(), capacity_bytes=MIB)
        )
        spec = DomainSpec(
            name=name,
            memory_bytes=MEMORY,
            disks=(new_disk(), DiskSpec(volume=VolumeRef(name=other.name, pool=other.pool))),
            networkless=True,
        )
        made = await harness.domains.create_domain(spec)
        await harness.driver.delete(made.id, DeleteOptions(keep_volumes=keep))
        names = await harness.volume_names()
        assert other.name in names
        assert (volume_of(made) in names) is keep

    async def test_create_reports_its_id_before_any_event(self, harness: DriverHarness):
        reported: list[str] = []
        async with DriverWatcher.of(harness.driver) as watcher:

            async def announce(footprint: Footprint) -> None:
                id = footprint.mark
                reported.append(id)
                assert id not in watcher.resources
                assert not [event for event in watcher.events if event.id == id]

            spec = DomainSpec(name=harness.new_name(), memory_bytes=MEMORY, diskless=True)
            made = await harness.domains.create_domain(spec, announce=announce)
            await watcher.wait_consistent(made.id)
        assert reported == [made.id]
