"""The imitated engine's storage pool."""

import secrets
from collections.abc import Collection
from dataclasses import replace

from proad.drivers.memory.engine import ImitatedEngine, now
from proad.errors import (
    AlreadyExistsError,
    HostExhaustedError,
    InUseError,
    InvalidArgumentError,
    PoolNotFoundError,
    VolumeNotFoundError,
)
from proad.model import DiskFormat, Footprint, PlannedVolume, Volume, VolumeRef, VolumeSpec
from proad.ports import AnnounceFootprint, Begin, at_once, unannounced

POOL = "default"
_POOL_BYTES = 2**40
_EMPTY_BYTES = 196_616  # what a new qcow2 file takes


class MemoryVolumes:
    """Volumes that are only names and sizes. The pool has room for 1 TiB."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def list_volumes(self, pool: str = "") -> list[Volume]:
        """Return the volumes."""
        self._engine.connection.check()
        if pool:
            self._pool(pool)
        return [
            replace(volume, record_id=self._engine.volume_ids.get(key, ""))
            for key, volume in self._engine.volumes.items()
        ]

    async def recorded_volumes(self) -> Collection[str]:
        """Return the ids of all records."""
        self._engine.connection.check()
        return [*self._engine.volume_ids.values()]

    async def record_volume(
        self, pool: str, name: str, *, ours: Collection[str] | None = None
    ) -> Volume:
        """Return a volume that is to have an owner; record it if it has no record."""
        self._engine.connection.check()
        volume = self.find(VolumeRef(pool=pool, name=name))
        others = [] if ours is None else [each for each in self._users(volume) if each not in ours]
        if others:
            raise InUseError("volume", name, others, hint="hand that over first, or delete it")
        if volume.base_path and (volume.pool, name) not in self._engine.volume_ids:
            raise InvalidArgumentError.of(
                "id", f"the volume {name!r} cannot have an owner: it needs {volume.base_path!r}"
            )
        id = self._engine.volume_ids.setdefault((volume.pool, name), secrets.token_hex(8))
        return replace(volume, record_id=id)

    async def create_volume(
        self, spec: VolumeSpec, *, announce: AnnounceFootprint = unannounced
    ) -> Volume:
        """Create a volume."""
        self._engine.connection.check()
        planned = footprint_of(self.planned(spec), named_by_caller=True)
        await announce(Footprint(create_time=now(), volumes=(planned,)))
        volume = self.planned(spec)
        self._engine.add_volume(volume, planned.id)
        return replace(volume, record_id=planned.id)

    async def delete_volume(
        self,
        pool: str,
        name: str,
        *,
        ignore_unreadable: Collection[str] = (),  # noqa: ARG002 - all can be read
        begin: Begin = at_once,
    ) -> None:
        """Delete a volume that nothing uses."""
        self._engine.connection.check()
        volume = self.find(VolumeRef(pool=pool, name=name))
        if users := self._users(volume):
            raise InUseError("volume", name, users)
        await begin()
        self._engine.remove_volume((volume.pool, volume.name))

    def put(self, name: str, capacity_bytes: int, base: VolumeRef | None = None) -> None:
        """Make a volume, or make it anew, as others do: without a record."""
        key = POOL, name
        self._engine.remove_volume(key)
        spec = VolumeSpec(name=name, capacity_bytes=capacity_bytes, base=base)
        self._engine.volumes[key] = self.planned(spec)

    def _users(self, volume: Volume) -> list[str]:
        users = [
            f"domain {workload.resource.name}"
            for workload in self._engine.workloads.values()
            for disk in (workload.resource.domain.disks if workload.resource.domain else ())
            if disk.path == volume.path
        ]
        return users + [
            f"volume {other.pool}/{other.name}"
            for other in self._engine.volumes.values()
            if other.base_path == volume.path
        ]

    def existing(self, ref: VolumeRef, field: str) -> Volume:
        """Return a volume that a disk is to be put on."""
        volume = self.find(ref)
        _check_format(volume, ref.format, field)
        return volume

    def _pool(self, pool: str) -> str:
        if pool not in {"", POOL}:
            raise PoolNotFoundError(pool)
        return POOL

    def find(self, ref: VolumeRef) -> Volume:
        """Return a volume. Raises PoolNotFoundError, VolumeNotFoundError."""
        try:
            return self._engine.volumes[self._pool(ref.pool), ref.name]
        except KeyError:
            raise VolumeNotFoundError(ref.name) from None

    def planned(self, spec: VolumeSpec, field: str = "spec.base") -> Volume:
        """Check everything that a volume needs, and return what the volume would be.

        `field` is where the caller names its base.
        """
        pool = self._pool(spec.pool)
        if (pool, spec.name) in self._engine.volumes:
            raise AlreadyExistsError("volume", spec.name)
        base = self.find(spec.base) if spec.base is not None else None
        if spec.base is not None and base is not None:
            _check_format(base, spec.base.format, field)
        capacity = spec.capacity_bytes or (base.capacity_bytes if base else 0)
        if base is not None and capacity < base.capacity_bytes:
            raise InvalidArgumentError.of(
                "capacity_bytes", f"must be at least the base volume's {base.capacity_bytes}"
            )
        empty = 0 if spec.format is DiskFormat.RAW else _EMPTY_BYTES
        allocation = capacity if spec.preallocate else empty
        free = _POOL_BYTES - sum(
            volume.allocation_bytes for volume in self._engine.volumes.values()
        )
        if allocation > free:
            raise HostExhaustedError("memory", f"{spec.name} wants {allocation} of {free} bytes")
        return Volume(
            pool=pool,
            name=spec.name,
            path=f"/memory/{pool}/{spec.name}",
            format=spec.format,
            capacity_bytes=capacity,
            allocation_bytes=allocation,
            base_path=base.path if base else "",
        )


def footprint_of(volume: Volume, *, named_by_caller: bool) -> PlannedVolume:
    """Return what a volume to be will be found by."""
    return PlannedVolume(
        pool=volume.pool,
        name=volume.name,
        named_by_caller=named_by_caller,
        capacity_bytes=volume.capacity_bytes,
        format=volume.format or DiskFormat.OTHER,
        id=secrets.token_hex(8),
    )


def _check_format(volume: Volume, stated: DiskFormat | None, field: str) -> None:
    if stated not in {None, volume.format}:
        raise InvalidArgumentError.of(
            f"{field}.format",
            f"is {stated}, but the volume {volume.name!r} is recorded as {volume.format}; "
            "say that or nothing",
        )
