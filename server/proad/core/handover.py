"""Handing resources over to another owner."""

from collections.abc import Mapping
from typing import Protocol

from proad.core.inventory import Inventory
from proad.core.resolver import Resolver
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import InvalidArgumentError, ResourceNotFoundError


class OwnerIds(Protocol):
    """The ids of users and teams by their names."""

    async def id(self, name: str) -> str | None:
        """Return the id of a user or team; None if there is none of that name.

        Raises:
            DatabaseUnreachableError: the names cannot be read.
        """


class Handover:
    """Gives resources, with their volumes, to a user or a team.

    Args:
        resolver: finds the resource.
        inventory: has what is recorded of the resource.
        volumes: has the owners of volumes.
        owners: has the ids of owners.
    """

    def __init__(
        self, resolver: Resolver, inventory: Inventory, volumes: VolumeTenancy, owners: OwnerIds
    ) -> None:
        self._resolver = resolver
        self._inventory = inventory
        self._volumes = volumes
        self._owners = owners

    async def run(self, ref: str, owner: str) -> Mapping[str, object]:
        """Give a resource to the user or team of a name; return the names of all three.

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
        resolved = await self._resolver.find(ref)
        connection, id = resolved.connection, resolved.resource.id
        entry = self._inventory.entry(connection, id)
        if entry is None:
            raise ResourceNotFoundError(ref)
        before = entry.published.owner
        owner_before = entry.record.owner if entry.record is not None else ""
        changes = {"owner": owner_id}
        async with self._inventory.recorder.changing(connection, entry, changes):
            await self._volumes.hand_over(connection, entry.observed, owner_before, owner_id)
        return {"path": entry.path, "name": entry.published.name, "before": before}
