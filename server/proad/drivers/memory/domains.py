"""How the imitated engine makes domains."""

import asyncio
import itertools
import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import uuid4

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.domain_xml import MACHINE, parsed, written
from proad.drivers.memory.engine import ImitatedEngine, is_missing, now
from proad.drivers.memory.snapshots import taken
from proad.drivers.memory.volumes import POOL, MemoryVolumes, footprint_of
from proad.drivers.memory.workload import Workload
from proad.errors import AlreadyExistsError, Findings, InvalidArgumentError
from proad.model import (
    CdromSpec,
    Disk,
    DiskBus,
    DiskDevice,
    DiskFormat,
    DiskSpec,
    Domain,
    DomainDocument,
    DomainFacts,
    DomainSpec,
    DomainXml,
    Footprint,
    Graphics,
    GraphicsType,
    Lifetime,
    NetworkInterface,
    Resource,
    ResourceKind,
    ResourceState,
    StateDetail,
    StateReason,
    VirtType,
    Volume,
    VolumeRef,
    VolumeSpec,
)
from proad.ports import AnnounceFootprint, JudgeXml, unannounced, unjudged

FACTS = DomainFacts(
    types=frozenset({"kvm", "qemu", "test"}),
    emulators=frozenset({"/usr/bin/qemu-system-x86_64"}),
    pools={f"/memory/{POOL}": POOL, "/var/lib/libvirt/images": POOL},
    media_dirs=("/srv",),
)
"""A host as most are."""

_PREFIXES = {DiskBus.VIRTIO: "vd", DiskBus.SATA: "sd", DiskBus.SCSI: "sd"}
_ENDINGS = {DiskFormat.QCOW2: "qcow2", DiskFormat.RAW: "raw"}


class MemoryDomains:
    """Domains without guests."""

    def __init__(self, engine: ImitatedEngine, volumes: MemoryVolumes) -> None:
        self._engine = engine
        self._volumes = volumes

    async def domain_facts(self) -> DomainFacts:
        """Return the facts on which domain XML is judged."""
        self._engine.connection.check()
        return FACTS

    async def domain_documents(self, id: str, *, snapshot: str = "") -> tuple[DomainDocument, ...]:
        """Return what a start, or a revert to a snapshot, would run."""
        workload, _ = self._engine.domain(id, "domain XML")
        resource = taken(workload, snapshot).resource if snapshot else workload.resource
        return (DomainDocument(xml=written(resource)),)

    async def create_domain(
        self,
        spec: DomainSpec,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeXml = unjudged,
    ) -> Resource:
        """Create a domain and its new volumes, and start it if asked to."""
        self._engine.connection.check()
        id = spec.uuid or str(uuid4())
        findings = Findings()
        with findings.noted():
            self._refuse_taken(spec.name, id)
        with findings.noted():
            _check_networks(spec)
        with findings.noted():
            disks, volumes = self._planned_disks(spec)
        findings.check()
        networks = tuple(
            NetworkInterface(
                network=each.network,
                mac_address=each.mac_address or _mac_address(),
                model=each.model.lower(),
            )
            for each in spec.effective_networks
        )
        domain = Domain(
            spec=_completed(spec, id, disks, networks),
            memory_bytes=spec.memory_bytes,
            max_memory_bytes=spec.memory_bytes,
            vcpus=spec.vcpus,
            autostart=spec.autostart,
            virt_type=VirtType.TEST,
            machine=spec.machine or MACHINE,
            disks=disks,
            networks=networks,
            graphics=(
                Graphics(
                    type=spec.graphics.type,
                    listen="127.0.0.1" if spec.graphics.type is GraphicsType.VNC_LOOPBACK else "",
                )
                if spec.graphics.type is not GraphicsType.NONE
                else None
            ),
            guest_agent_connected=spec.guest_agent,
        )
        return await self._created(
            Resource(
                id=id,
                kind=ResourceKind.DOMAIN,
                name=spec.name,
                state=ResourceState.STOPPED,
                state_detail=StateDetail(reason=StateReason.NEVER_STARTED),
                labels=spec.labels,
                create_time=now(),
                lifetime=spec.lifetime,
                domain=domain,
            ),
            volumes,
            start=start,
            announce=announce,
            judge=judge,
        )

    async def create_domain_from_xml(
        self,
        source: DomainXml,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeXml = unjudged,
    ) -> Resource:
        """Create a domain from as much XML as `get_domain_xml` writes; the rest is ignored."""
        self._engine.connection.check()
        resource = await asyncio.to_thread(parsed, source)
        return await self._created(resource, [], start=start, announce=announce, judge=judge)

    def find_running(self, runtime_id: int) -> str:
        """Return the UUID of the domain that runs under this number; empty if none does."""
        self._engine.connection.check()
        for id, workload in self._engine.workloads.items():
            run = workload.run
            is_domain = workload.resource.domain is not None
            if is_domain and run is not None and run.number == runtime_id:
                return id
        return ""

    async def get_domain_xml(self, id: str, *, inactive: bool = False) -> str:
        """Return a domain as XML."""
        workload, _ = self._engine.domain(id, "domain XML")
        return written(workload.resource if inactive else workload.shown())

    async def _created(
        self,
        resource: Resource,
        volumes: list[Volume],
        *,
        start: bool,
        announce: AnnounceFootprint,
        judge: JudgeXml,
    ) -> Resource:
        self._refuse_taken(resource.name, resource.id, volumes)
        await judge(written(resource), ())
        workload = Workload(resource, Behaviour.of(resource.labels))
        planned = tuple(footprint_of(each, named_by_caller=False) for each in volumes)
        await announce(
            Footprint(
                mark=resource.id,
                create_time=resource.create_time or now(),
                start=start,
                autostart=resource.domain is not None and resource.domain.autostart,
                volumes=planned,
                vcpus=resource.domain.vcpus if resource.domain else 0,
                memory_bytes=resource.domain.max_memory_bytes if resource.domain else 0,
            )
        )
        self._refuse_taken(resource.name, resource.id, volumes)
        if start or resource.lifetime is Lifetime.TRANSIENT:
            self._engine.start(
                workload
            )  # before anything is in a list: what cannot start never was
        for volume, plan in zip(volumes, planned, strict=True):
            self._engine.add_volume(volume, plan.id)
        self._engine.add(workload)
        return workload.shown()

    def _refuse_taken(self, name: str, id: str, volumes: Iterable[Volume] = ()) -> None:
        other = self._engine.named(ResourceKind.DOMAIN, name)
        if other is not None:
            raise AlreadyExistsError("domain", name, existing_id=other.resource.id)
        if id in self._engine.workloads:
            raise AlreadyExistsError.of_an_id("domain", id)
        for volume in volumes:
            if (volume.pool, volume.name) in self._engine.volumes:
                raise AlreadyExistsError("volume", volume.name)

    def _planned_disks(self, spec: DomainSpec) -> tuple[tuple[Disk, ...], list[Volume]]:
        """Return the disks of a domain to be, and the volumes that have to be made for them."""
        letters = {prefix: iter(_targets(prefix)) for prefix in _PREFIXES.values()}
        disks: list[Disk] = []
        volumes: list[Volume] = []
        disks += (self._cdrom(drive, next(letters["sd"])) for drive in spec.cdroms)
        for number, wish in enumerate(spec.effective_disks):
            target = next(letters[_PREFIXES[wish.bus]])
            field = f"spec.disks[{number}]"
            volume = self._disk_volume(spec.name, wish, target, volumes, field)
            disks.append(
                Disk(
                    target=target,
                    bus=wish.bus,
                    format=volume.format,
                    path=volume.path,
                    volume=VolumeRef(pool=volume.pool, name=volume.name),
                    capacity_bytes=volume.capacity_bytes,
                    allocation_bytes=volume.allocation_bytes,
                    read_only=wish.read_only,
                    owned=wish.new_volume is not None,
                )
            )
        return tuple(disks), volumes

    def _disk_volume(
        self, domain: str, wish: DiskSpec, target: str, volumes: list[Volume], field: str
    ) -> Volume:
        if wish.volume is not None:
            return self._volumes.existing(wish.volume, f"{field}.volume")
        new = wish.new_volume
        assert new is not None  # noqa: S101 - the spec has exactly one of the two
        nonce = secrets.token_hex(4)
        name = new.volume_name or f"{domain}-{target}-{nonce}.{_ENDINGS[new.format]}"
        if any(volume.name == name for volume in volumes):
            raise AlreadyExistsError("volume", name)
        volume = self._volumes.planned(
            VolumeSpec(
                pool=new.pool,
                name=name,
                capacity_bytes=new.capacity_bytes,
                format=new.format,
                base=new.base,
            ),
            f"{field}.new_volume.base",
        )
        volumes.append(volume)
        return volume

    def _cdrom(self, cdrom: CdromSpec, target: str) -> Disk:
        volume = self._volumes.find(cdrom.volume) if cdrom.volume is not None else None
        return Disk(
            target=target,
            device=DiskDevice.CDROM,
            bus=DiskBus.SATA,
            format=DiskFormat.RAW,
            path=volume.path if volume else cdrom.path or "",
            volume=VolumeRef(pool=volume.pool, name=volume.name) if volume else None,
            read_only=True,
        )


def _completed(
    spec: DomainSpec, id: str, disks: Sequence[Disk], networks: Sequence[NetworkInterface]
) -> DomainSpec:
    """Return the specification of a domain that has its id, its volumes and its addresses."""
    made = [disk for disk in disks if disk.device is DiskDevice.DISK]
    return replace(
        spec,
        uuid=id,
        boot_order=spec.effective_boot_order,
        disks=tuple(
            _existing(wish, disk) for wish, disk in zip(spec.effective_disks, made, strict=True)
        ),
        diskless=not made,
        networks=tuple(
            replace(wish, mac_address=card.mac_address)
            for wish, card in zip(spec.effective_networks, networks, strict=True)
        ),
        networkless=not networks,
        machine=spec.machine or MACHINE,
    )


def _existing(wish: DiskSpec, disk: Disk) -> DiskSpec:
    assert disk.volume is not None  # noqa: S101 - every disk here has one
    return DiskSpec(
        volume=replace(disk.volume, format=disk.format), bus=wish.bus, read_only=wish.read_only
    )


def _check_networks(spec: DomainSpec) -> None:
    for index, card in enumerate(spec.effective_networks):
        if is_missing(card.network):
            raise InvalidArgumentError.of(
                f"spec.networks[{index}].network",
                f"is {card.network!r}, a network that is not there",
            )


def _targets(prefix: str) -> "itertools.chain[str]":
    letters = string.ascii_lowercase
    return itertools.chain(
        (prefix + letter for letter in letters),
        (prefix + one + other for one in letters for other in letters),
    )


def _mac_address() -> str:
    return "52:54:00:" + secrets.token_bytes(3).hex(":")
