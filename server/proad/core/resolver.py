"""From what a caller calls a resource to the resource."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.inventory.store import Entry
from proad.core.reference import Reference
from proad.errors import (
    AmbiguousIdError,
    EngineTimedOutError,
    EngineUnreachableError,
    InvalidArgumentError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import Resource, ResourceKind
from proad.ports import Driver

REFRESH_WITHIN = 2.0
"""Seconds that a look may take at what a name could mean as well."""

NAME_WITHIN = 0.5
"""Seconds that an engine has to say whether it has a name that nobody has heard of."""

# Of the resources that fit: more are not all gone but for one, nor told in one error.
_MOST_LOOKED_AT = 64

# Of a candidate's name: a longer one, or one with a comma, would not stand in their list.
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class ResolvedResource:
    """The resource that a reference means.

    Attributes:
        connection: the connection to the engine that has the resource.
        resource: the SUMMARY view.
        reference: what the caller wrote for the resource.
    """

    connection: EngineConnection
    resource: Resource
    reference: str = ""

    @property
    def driver(self) -> Driver:
        """The driver of the engine that has the resource."""
        return self.connection.driver


class Resolver:
    """Finds the one resource that an id, a prefix of one or a name means.

    It looks into the inventory; for a full id or a name that is not there, it asks the
    engines. A full id means itself, whatever others are called, and a name goes before the
    start of an id. What fits two resources in the same way is refused, unless a look shows
    that only one of them is left: a name goes from one container to the next before the engine
    has told of either. An engine that does not answer matters only if none of the others has
    what is asked for, or what they have is merely called like an id of that one's.
    """

    def __init__(self, hosts: Hosts, inventory: Inventory) -> None:
        self._hosts = hosts
        self._inventory = inventory
        self._connections = {connection.name: connection for connection in hosts.connections}

    async def find(self, text: str) -> ResolvedResource:
        """Find a resource.

        Raises:
            InvalidArgumentError: `text` cannot be a reference.
            ResourceNotFoundError: nothing is called so.
            AmbiguousIdError: two or more are.
            EngineUnreachableError: engines that may have it do not answer.
        """
        # First the way of most calls, which is the shortest.
        found = self._with_id(text)
        if len(found) == 1:
            return replace(found[0], reference=text)
        reference = Reference.parse(text)
        connections = [
            connection for connection in self._hosts.connections if reference.covers(connection)
        ]
        true = [connection for connection in connections if self._inventory.synced(connection)]
        found = self._search(reference, true)
        if not found and len(true) < len(connections):
            # It may be where we cannot look, or not yet.
            if lost := await self._inventory.lost(connections):
                raise EngineUnreachableError.of_all([*lost.values()])
            true = connections
            found = self._search(reference, true)
        elif found and reference.full_id not in {"", found[0].resource.id}:
            # It is called like an id of one that may be where we cannot look.
            unseen = [x for x in connections if x not in true and _may_have(x, reference.full_id)]
            if lost := await self._inventory.lost(unseen):
                raise EngineUnreachableError.of_all([*lost.values()])
            true += unseen
            found = self._search(reference, true)
        if 1 < len(found) <= _MOST_LOOKED_AT:
            await asyncio.gather(*map(self._refresh, found))
            found = self._search(reference, true)
        if not found:
            found = await self._ask(reference, connections)
        if len(found) > 1:
            told = [self._told(one) for one in found[:_MOST_LOOKED_AT]]
            raise AmbiguousIdError(text, told, of=len(found))
        if not found:
            raise ResourceNotFoundError(text)
        return replace(found[0], reference=text)

    async def find_successor(self, gone: ResolvedResource) -> ResolvedResource | None:
        """Return the resource that has the name of one that has gone; None if none has.

        A name passes from one container to the next before the engine has told of either.
        Errors are those of `find`.
        """
        successor = await self.find(gone.reference)
        was, now = gone.resource, successor.resource
        if (now.host, now.id) == (was.host, was.id) or now.name != was.name:
            return None
        return successor

    def _with_id(self, id: str) -> list[ResolvedResource]:
        """Find what has this full id, on the engines whose picture is true."""
        found = (
            ResolvedResource(self._connections[entry.engine], entry.published)
            for entry in self._inventory.with_id(id)
        )
        return [one for one in found if self._inventory.synced(one.connection)]

    def _search(
        self, reference: Reference, connections: Sequence[EngineConnection]
    ) -> list[ResolvedResource]:
        by_name = {connection.name: connection for connection in connections}
        inventory = self._inventory
        return (
            _among(inventory.with_id(reference.full_id), reference.names, by_name)
            or _among(inventory.named(reference.name), reference.names, by_name)
            or _among(inventory.starting(reference.digits), reference.starts, by_name)
        )

    def _told(self, one: ResolvedResource) -> str:
        """Return what a caller may write to mean this resource and no other."""
        resource = one.resource
        place = f"{one.connection.host}/{resource.kind.lower()}"
        by_name = f"{place}/{resource.name}"
        if len(resource.name) <= _LONGEST_NAME and "," not in by_name:
            with suppress(InvalidArgumentError):  # a name with a slash cannot be written
                reference = Reference.parse(by_name)
                connections = [
                    connection
                    for connection in self._hosts.connections
                    if reference.covers(connection)
                ]
                meant = self._search(reference, connections)
                if [each.resource.id for each in meant] == [resource.id]:
                    return by_name
        return f"{place}/{resource.id}"

    async def _refresh(self, found: ResolvedResource) -> None:
        """Have the picture of a resource made true; where that fails it stays as it is."""
        with suppress(ProaError, TimeoutError):
            async with asyncio.timeout(REFRESH_WITHIN):
                await self._inventory.refresh(found.connection, found.resource.id)

    async def _ask(
        self, reference: Reference, connections: Sequence[EngineConnection]
    ) -> list[ResolvedResource]:
        """Ask the engines: somebody may have made it a moment ago."""
        answers = await asyncio.gather(
            *(self._ask_one(reference, connection) for connection in connections)
        )
        return [found for found in answers if found is not None]

    async def _ask_one(
        self, reference: Reference, connection: EngineConnection
    ) -> ResolvedResource | None:
        entry = (
            await self._inventory.refresh(connection, reference.full_id)
            if _may_have(connection, reference.full_id)
            else None
        )
        if entry is None and (id := await _find_id(reference.name, connection)):
            entry = await self._inventory.refresh(connection, id)
        return (
            ResolvedResource(connection, entry.published)
            if entry and reference.names(entry.observed)
            else None
        )


def _may_have(connection: EngineConnection, full_id: str) -> bool:
    """Return whether an engine has resources of the kind that has such ids."""
    kind = ResourceKind.DOMAIN if "-" in full_id else ResourceKind.CONTAINER
    return full_id != "" and kind in connection.driver.kinds


async def _find_id(name: str, connection: EngineConnection) -> str:
    """Ask an engine for a name; one that hangs is taken not to have it."""
    with suppress(TimeoutError, EngineTimedOutError):
        async with asyncio.timeout(NAME_WITHIN):
            return await connection.read(lambda: connection.driver.find_id(name))
    return ""


def _among(
    candidates: Iterable[Entry],
    fits: Callable[[Resource], bool],
    connections: Mapping[str, EngineConnection],
) -> list[ResolvedResource]:
    return [
        ResolvedResource(connections[entry.engine], entry.published)
        for entry in candidates
        if entry.engine in connections and fits(entry.observed)
    ]
