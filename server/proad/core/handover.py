"""Handing resources over to another owner."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Protocol

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Entry, Inventory
from proad.core.resolver import Resolver
from proad.core.tenancy import Visibility
from proad.core.volume_owner_cache import id_of_container_volume
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import InvalidArgumentError, ResourceNotFoundError, VolumeNotFoundError
from proad.model import ResourceKind
from proad.policy.domains.xml import disks_of
from proad.ports import ContainerAttachments, Domains, Volumes
from proad.ports.records import VolumeOwner

# The host goes before only where there is one: the pool of volume/volume/NAME is `volume`.
_VOLUME = re.compile(r"(?:(?P<host>[^/]+)/)??volume/(?P<name>.*)", re.DOTALL)


class OwnerIds(Protocol):
    """The ids of users and teams by their names."""

    async def id(self, name: str) -> str | None:
        """Return the id of a user or team; None if there is none of that name.

        Raises:
            DatabaseUnreachableError: the names cannot be read.
        """


class Handover:
    """Gives resources, with their volumes, or single volumes to a user or a team.

    Args:
        hosts: the engines.
        resolver: finds the resource.
        inventory: has what is recorded of the resource.
        volumes: has the owners of volumes.
        owners: has the ids of owners.
    """

    def __init__(
        self,
        hosts: Hosts,
        resolver: Resolver,
        inventory: Inventory,
        volumes: VolumeTenancy,
        owners: OwnerIds,
    ) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._inventory = inventory
        self._volumes = volumes
        self._owners = owners

    async def run(self, ref: str, owner: str) -> Mapping[str, object]:
        """Give a resource or volume to the user or team of a name; return the names of all three.

        A volume is written as `volume/POOL/NAME`, one of containers as `volume/NAME`, after the
        name of another host and a slash where it is there.

        Raises:
            InvalidArgumentError: there is no such user or team.
            ProaError: errors of `Resolver.find`, or the change cannot be recorded; nothing changed.
        """
        owner_id = await self._owners.id(owner)
        if owner_id is None:
            raise InvalidArgumentError.of(
                "owner",
                f"there is no user or team {owner!r}; 'proad user list' and 'proad team list' show "
                "which there are",
            )
        if (volume := _VOLUME.fullmatch(ref)) is not None:
            return await self._give_volume(volume["host"] or "", volume["name"], owner_id)
        resolved = await self._resolver.find(ref)
        connection, id = resolved.connection, resolved.resource.id
        entry = self._inventory.entry(connection, id)
        if entry is None:
            raise ResourceNotFoundError(ref)
        before = entry.published.owner
        owner_before = entry.record.owner if entry.record is not None else ""
        changes = {"owner": owner_id}
        async with self._inventory.recorder.changing(connection, entry, changes):
            await self._volumes.hand_over(
                connection, entry.observed, await _disks(connection, entry), owner_before, owner_id
            )
        return {"path": entry.path, "name": entry.published.name, "before": before}

    async def _give_volume(self, host: str, ref: str, owner: str) -> Mapping[str, object]:
        """Give a volume to an owner.

        Raises:
            VolumeNotFoundError: there is no such volume.
            InUseError: others use it.
            InvalidArgumentError: it belongs to a domain, or cannot have an owner.
        """
        pool, _, name = ref.rpartition("/")
        if pool:
            connection, row = await self._of_pool(host, pool, name, owner)
        else:
            connection, driver = self._hosts.offering(ContainerAttachments, host)
            if not await connection.read(lambda: driver.container_volumes({name})):
                raise VolumeNotFoundError(name)
            row = VolumeOwner(id=id_of_container_volume(name), owner="")
        before = await self._volumes.give(connection, replace(row, owner=owner))
        path = f"{connection.ref.host}/volume/{ref}"
        return {"path": path, "name": name, "before": before}

    async def _of_pool(
        self, host: str, pool: str, name: str, owner: str
    ) -> tuple[EngineConnection, VolumeOwner]:
        """Return the engine of a volume, and what is recorded of the volume.

        The new owner may write to it, and so into what others have on top of it: unless trusted
        with everything anyway, the new owner must have all that uses it.
        """
        connection, driver = self._hosts.offering(Volumes, host)
        ours = await self._volumes.uses_of(connection, driver, owner)
        if ours is not None:
            of_owner = self._inventory.all(connection, Visibility(owners=frozenset({owner})))
            ours = {*ours, *(f"domain {each.name}" for each in of_owner)}
        with connection.call():
            volume = await driver.record_volume(pool, name, ours=ours)
        row = await self._volumes.owner_of(connection, volume.record_id)
        entry = self._inventory.entry(connection, row.domain) if row.domain else None
        if entry is not None:
            raise InvalidArgumentError.of(
                "id",
                f"the volume {name!r} was made for the domain {entry.published.name!r}; hand that "
                "over, and the volume goes with it",
            )
        size = volume.capacity_bytes or row.capacity_bytes
        return connection, replace(row, domain="", capacity_bytes=size)


async def _disks(connection: EngineConnection, entry: Entry) -> Collection[str]:
    """Return what the disks of a domain are on; nothing of a container."""
    driver, id = connection.driver, entry.observed.id
    if entry.observed.kind is not ResourceKind.DOMAIN or not isinstance(driver, Domains):
        return ()
    documents = await connection.read(lambda: driver.domain_documents(id))
    return {disk for each in documents for disk in disks_of(each)}
