"""Whose volumes are, and which of them a subject may see."""

import asyncio
from collections.abc import (
    Collection,
    Container,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from proad.core.engine_connection import EngineConnection
from proad.core.tenancy import current_owner_id, current_visibility
from proad.core.volume_owner_cache import VolumeOwnerCache, id_of_container_volume
from proad.core.volume_sources import deny_writing, is_of_pool, not_there, volumes_at
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    VolumeNotFoundError,
)
from proad.model import (
    ContainerSpec,
    DomainSpec,
    EngineRef,
    PlannedVolume,
    Resource,
    Volume,
    VolumeRef,
)
from proad.policy.bounds import matches_volume
from proad.ports import ContainerAttachments, Domains, Volumes
from proad.ports.records import Owners, VolumeOwner


class VolumeTenancy:
    """The owners of volumes, by the ids of their records.

    A volume belongs to the owner of the domain that it was made for, or else to the user whose call
    made it, or to that user's team. One that Proa did not make belongs to nobody until it is handed
    over.

    Args:
        owners: the owners.
        names: has the names of owners.
    """

    def __init__(self, owners: VolumeOwnerCache, names: Owners) -> None:
        self._owners = owners
        self._names = names
        # Engines whose owners were loaded before a sum was made.
        self._loaded: set[EngineRef] = set()

    def creating(self, volumes: Iterable[PlannedVolume]) -> AbstractContextManager[None]:
        """Keep the owners of volumes within the block, though the volumes are not there yet."""
        return self._owners.keeping({volume.id for volume in volumes})

    def creating_container(self, spec: ContainerSpec) -> AbstractContextManager[None]:
        """Keep the owners of a container's volumes within the block, as `creating` does."""
        return self._owners.keeping({id_of_container_volume(name) for name in _named(spec)})

    async def plan(
        self, connection: EngineConnection, volumes: Sequence[PlannedVolume], *, domain: str = ""
    ) -> None:
        """Record the volumes that the current call is about to make as the caller's.

        Raises:
            DatabaseUnreachableError: nothing is recorded; nothing must be made.
        """
        owner = current_owner_id()
        if not owner or not volumes:
            return
        rows = [
            VolumeOwner(
                id=volume.id, owner=owner, domain=domain, capacity_bytes=volume.capacity_bytes
            )
            for volume in volumes
        ]
        await self._owners.put(connection, rows)

    async def plan_container_volumes(
        self, connection: EngineConnection, spec: ContainerSpec
    ) -> None:
        """Record the volumes that a container is about to make by their names as the caller's.

        Raises:
            DatabaseUnreachableError: nothing is recorded; nothing must be made.
        """
        owner, driver = current_owner_id(), connection.driver
        names = _named(spec)
        if not owner or not names or not isinstance(driver, ContainerAttachments):
            return
        there = {each.name for each in await driver.container_volumes(names)}
        rows = [VolumeOwner(id=id_of_container_volume(name), owner=owner) for name in names - there]
        if rows:
            await self._owners.put(connection, rows)

    async def visible_container_volumes(
        self, connection: EngineConnection, names: Collection[str]
    ) -> Collection[str]:
        """Return those of the volumes of containers that the caller may use, by their names."""
        visibility = current_visibility()
        if not names or not visibility.is_restricted:
            return names
        _identity, known = await self._owners.load(connection)
        owners = {name: known.get(id_of_container_volume(name)) for name in names}
        return {
            name
            for name, row in owners.items()
            if visibility.includes(row.owner if row is not None else "")
        }

    async def visible(
        self, connection: EngineConnection, volumes: Iterable[Volume], shared: Sequence[str] = ()
    ) -> list[Volume]:
        """Return those of an engine's volumes that the caller may see, with their owners.

        Args:
            connection: the engine.
            volumes: its volumes.
            shared: patterns of those that the caller may read though somebody else has them: the
                host, or a user with access to all. One that a tenant gives such a name stays the
                tenant's.
        """
        _identity, known = await self._owners.load(connection)
        visibility = current_visibility()
        owned, others = list[tuple[Volume, str]](), list[tuple[Volume, str]]()
        for volume in volumes:
            owner = known[volume.record_id].owner if volume.record_id in known else ""
            if visibility.includes(owner):
                owned.append((volume, owner))
            elif any(matches_volume(each, f"{volume.pool}/{volume.name}") for each in shared):
                others.append((volume, owner))
        names = await self._names.names({owner for _, owner in owned} - {""})
        trusted = {"", *await self._names.unrestricted({owner for _, owner in others} - {""})}
        return [
            *(replace(volume, owner=names.get(owner, "")) for volume, owner in owned),
            *(replace(volume, read_only=True) for volume, owner in others if owner in trusted),
        ]

    async def require(
        self,
        connection: EngineConnection,
        driver: Volumes,
        read: Iterable[VolumeRef],
        written: Iterable[VolumeRef] = (),
        *,
        shared: Sequence[str] = (),
    ) -> None:
        """Check that the caller may use volumes; others are as those that are not there.

        Args:
            connection: the engine.
            driver: its driver.
            read: volumes that are to be read.
            written: volumes that are to be written or deleted.
            shared: patterns of volumes that the caller may read.

        Raises:
            VolumeNotFoundError: the caller may not see one.
            PolicyDeniedError: the caller may only read one that is to be written.
        """
        if not current_visibility().is_restricted:
            return
        for refs, writes in ((read, False), (written, True)):
            for ref in refs:
                listed = await _listed(connection, driver, ref.pool)
                visible = await self.visible(connection, listed, shared)
                found = next((each for each in visible if each.name == ref.name), None)
                if found is None:
                    raise VolumeNotFoundError(ref.name)
                if writes and found.read_only:
                    deny_writing(found)

    async def require_media(
        self,
        connection: EngineConnection,
        driver: Volumes,
        spec: DomainSpec,
        shared: Sequence[str] = (),
    ) -> None:
        """Check that no medium that a new domain names by its path is a volume of somebody else.

        Raises:
            InvalidArgumentError: one is, and is refused as a file that is not there.
        """
        paths = {each.path: index for index, each in enumerate(spec.cdroms) if each.path}
        usable = await self._usable(connection, driver, paths, shared)
        for path, index in paths.items():
            if usable is not None and path not in usable:
                raise not_there(f"spec.cdroms[{index}].path", path)

    async def require_sources(
        self,
        connection: EngineConnection,
        sources: Collection[str],
        *,
        read: Collection[str] = (),
        shared: Sequence[str] = (),
    ) -> None:
        """Check that the disks in the XML of a new domain are on the caller's volumes.

        What is in no pool's folder is judged by the policy alone. What is in one without being a
        volume that the caller may see is refused, whether it is there or not: it could become
        somebody else's.

        Args:
            connection: the engine.
            sources: files, and volumes as POOL/NAME.
            read: those of them that are only read.
            shared: patterns of volumes that the caller may read.

        Raises:
            InvalidArgumentError: one is, and is refused as a file that is not there.
            PolicyDeniedError: the caller may only read one that is to be written.
        """
        driver = connection.driver
        if not isinstance(driver, Volumes):
            return
        usable = await self._usable(connection, driver, sources, shared)
        if usable is None:
            return
        for source in sources:
            if source not in usable:
                raise not_there("xml", source)
            only_read = next((each for each in usable[source] if each.read_only), None)
            if only_read is not None and source not in read:
                deny_writing(only_read)

    async def of_others(
        self, connection: EngineConnection, sources: Collection[str]
    ) -> Sequence[str]:
        """Return those of the disks of a domain that exists which are volumes of somebody else.

        What nobody owns may be: the domain has it from who made it.

        Args:
            connection: the engine.
            sources: files, and volumes as POOL/NAME.
        """
        driver, visibility = connection.driver, current_visibility()
        if not sources or not visibility.is_restricted or not isinstance(driver, Volumes):
            return ()
        _identity, known = await self._owners.load(connection)
        listed = await _listed(connection, driver, "")
        found = await asyncio.to_thread(volumes_at, sources, listed)
        return [
            source
            for source, volumes in found.items()
            if any(
                volume.record_id in known and not visibility.includes(known[volume.record_id].owner)
                for volume in volumes
            )
        ]

    async def _usable(
        self,
        connection: EngineConnection,
        driver: Volumes,
        sources: Collection[str],
        shared: Sequence[str],
    ) -> Mapping[str, Sequence[Volume]] | None:
        """Return the sources that a disk of the caller's may be on, with the volumes that they are.

        None: the caller sees everything.
        """
        if not sources or not current_visibility().is_restricted:
            return None
        listed = await _listed(connection, driver, "")
        visible = {each.path: each for each in await self.visible(connection, listed, shared)}
        folders: Collection[str] = ()
        if isinstance(driver, Domains):
            folders = (await connection.read(driver.domain_facts)).pools.keys()

        def usable() -> Mapping[str, Sequence[Volume]]:
            return {
                source: [visible[each.path] for each in volumes]
                for source, volumes in volumes_at(sources, listed).items()
                if (volumes or not is_of_pool(source, folders))
                and all(each.path in visible for each in volumes)
            }

        return await asyncio.to_thread(usable)

    async def load(self, connections: Iterable[EngineConnection]) -> None:
        """Load the owners of the volumes of those engines that answer.

        Raises:
            DatabaseUnreachableError: the owners cannot be read.
        """
        for connection in connections:
            if connection.ref in self._loaded or not isinstance(connection.driver, Volumes):
                continue
            with suppress(EngineUnreachableError, EngineTimedOutError):
                await self._owners.load(connection)
                self._loaded.add(connection.ref)

    def capacity_of(self, owner: str, *, besides: Container[str]) -> int:
        """Return the bytes of an owner's volumes, as guests see them.

        Args:
            owner: id of the owner.
            besides: ids of records that do not count.
        """
        return sum(
            each.capacity_bytes
            for each in self._owners
            if each.owner == owner and each.id not in besides
        )

    async def hand_over(
        self,
        connection: EngineConnection,
        resource: Resource,
        disks: Collection[str],
        before: str,
        owner: str,
    ) -> None:
        """Give the volumes of a resource to another owner.

        They are the ones that were made for it, and those that it writes to or mounts and that were
        its owner's: who had it before must not use them any more.

        Args:
            connection: the engine.
            resource: the resource.
            disks: what a domain writes to: files, and volumes as POOL/NAME.
            before: id of the owner before.
            owner: id of the owner from now on.
        """
        _identity, known = await self._owners.load(connection)
        mounts = resource.container.mounts if resource.container is not None else ()
        used = {id_of_container_volume(each.volume.name) for each in mounts if each.volume}
        if disks and isinstance(connection.driver, Volumes):
            listed = await _listed(connection, connection.driver, "")
            found = await asyncio.to_thread(volumes_at, disks, listed)
            used |= {each.record_id for volumes in found.values() for each in volumes}
        rows = [
            replace(each, owner=owner)
            for each in known.values()
            if each.domain == resource.id or (each.id in used and each.owner == before)
        ]
        if rows:
            await self._owners.put(connection, rows)

    async def uses_of(
        self, connection: EngineConnection, driver: Volumes, owner: str
    ) -> Collection[str] | None:
        """Return the volumes of an owner, as drivers name them where they use another volume.

        None: the owner has access to all.
        """
        if await self._names.unrestricted({owner}):
            return None
        _identity, known = await self._owners.load(connection)
        return {
            f"volume {each.pool}/{each.name}"
            for each in await _listed(connection, driver, "")
            if each.record_id in known and known[each.record_id].owner == owner
        }

    async def owner_of(self, connection: EngineConnection, volume: str) -> VolumeOwner:
        """Return whose a volume is; with an empty owner, nobody's.

        Args:
            connection: the engine.
            volume: the id of its record, or of `id_of_container_volume`.
        """
        _identity, known = await self._owners.load(connection)
        return known.get(volume) or VolumeOwner(id=volume, owner="")

    async def give(self, connection: EngineConnection, row: VolumeOwner) -> str:
        """Give a volume that is there an owner, and return the name of the one before, if any."""
        before = await self.owner_of(connection, row.id)
        await self._owners.put(connection, [row])
        names = await self._names.names({before.owner} - {""})
        return names.get(before.owner, "")


def _named(spec: ContainerSpec) -> set[str]:
    return {each.volume.name for each in spec.mounts if each.volume} - {""}


async def _listed(connection: EngineConnection, driver: Volumes, pool: str) -> Sequence[Volume]:
    return await connection.read(lambda: driver.list_volumes(pool))
