"""Lists of all engines' resources: what is asked for, in the order asked for."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.slices import TimeSlicer
from proad.errors import (
    EngineUnreachableError,
    InvalidArgumentError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import Resource, ResourceFilter

SILENCE = 2.0
"""Seconds without an answer after which a list waits no longer for FULL views."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Resources in order, and the engines that could not be asked.

    Attributes:
        revision: the inventory's, of which this is what was there.
    """

    resources: tuple[Resource, ...]
    unreachable: tuple[str, ...]
    revision: int


# Docker lets a name have any length, and a page token that carries one must stay short
# enough to be taken back. Names that differ only after so many characters are in order of id.
_LONGEST = 255

_SORTABLE: Mapping[str, Callable[[Resource], str]] = {
    "name": lambda r: r.name[:_LONGEST],
    "kind": lambda r: r.kind,
    "state": lambda r: r.state,
    "create_time": lambda r: r.create_time.isoformat() if r.create_time else "",
    "host": lambda r: r.host,
}


@total_ordering
@dataclass(frozen=True, slots=True)
class Position:
    """Where a resource stands in an order. Between equals the id decides, then the host.

    `values` are plain strings, so that a page token can carry a position.
    """

    values: tuple[str, ...]
    descending: tuple[bool, ...]

    def __lt__(self, other: "Position") -> bool:
        for mine, theirs, down in zip(self.values, other.values, self.descending, strict=True):
            if mine != theirs:
                return (mine > theirs) if down else (mine < theirs)
        return False


class OrderBy:
    """An `order_by` such as "state desc, name"; by name if it is empty."""

    def __init__(self, text: str) -> None:
        descending: dict[str, bool] = {}  # by field; named again, it decides nothing
        for part in (text or "name").split(","):
            match part.split():
                case [field] if field in _SORTABLE:
                    descending.setdefault(field, False)
                case [field, "desc" | "asc" as direction] if field in _SORTABLE:
                    descending.setdefault(field, direction == "desc")
                case _:
                    known = ", ".join(_SORTABLE)
                    raise InvalidArgumentError.of(
                        "order_by",
                        f"{part.strip()!r} must be one of {known}, with an optional ' desc'",
                    )
        self._fields = tuple(descending)
        self._descending = (*descending.values(), False, False)

    def position(self, resource: Resource) -> Position:
        """Tell where `resource` stands."""
        values = (_SORTABLE[field](resource) for field in self._fields)
        # An id is one host's own: the same domain can be defined on two.
        return self.at((*values, resource.id, resource.host))

    def at(self, values: Sequence[str]) -> Position:
        """Make a position of its values; ValueError if it is not one of this order."""
        if len(values) != len(self._descending):
            raise ValueError("a position of another order")
        return Position(tuple(values), self._descending)


class ResourceLister:
    """Reads the inventory, for all engines that a filter covers.

    Args:
        hosts: all engines.
        inventory: what there is.
        slicer: shares the time that long lists take.
    """

    def __init__(self, hosts: Hosts, inventory: Inventory, slicer: TimeSlicer) -> None:
        self._slicer = slicer
        self._hosts = hosts
        self._inventory = inventory

    @property
    def revision(self) -> int:
        """The inventory's revision. At the same one, the same list comes out."""
        return self._inventory.revision

    async def resources(self, which: ResourceFilter, order: OrderBy, *, partial: bool) -> Listing:
        """List SUMMARY views of the resources that `which` lets through.

        Raises:
            EngineUnreachableError: engines that the filter covers do not answer, and
                `partial` is not set.
        """
        connections = self._hosts.covered(which)
        lost = await self._inventory.lost(connections)
        if lost and not partial:
            raise EngineUnreachableError.of_all([*lost.values()])
        there: list[Resource] = []
        for connection in connections:
            if connection.name not in lost:
                there += self._inventory.all(connection)
        revision = self.revision  # others get their turn below, and what is there changes
        found = [resource async for resource in self._slicer.each(there) if which.matches(resource)]
        ordered = await self._slicer.sort(found, order.position)
        return Listing(tuple(ordered), tuple(lost), revision)

    async def in_full(self, resources: Sequence[Resource], *, partial: bool) -> Listing:
        """Give the FULL views of these resources, without those that are gone by now.

        One whose engine answers for others, but not for it, stays a SUMMARY: a resource
        that hangs delays a list by `SILENCE`, and no broken one ends it.

        Raises:
            EngineUnreachableError: engines were lost meanwhile, and `partial` is not set.
        """
        connections = {
            (connection.host, kind): connection
            for connection in self._hosts.connections
            for kind in connection.driver.kinds
        }
        asked = [(r, connections[r.host, r.kind]) for r in resources]
        views = [
            asyncio.ensure_future(self._full(connection, r))
            async for r, connection in self._slicer.each(asked)
        ]
        try:
            await _until_silent(views)
        finally:
            for view in views:
                view.cancel()
            await asyncio.gather(*views, return_exceptions=True)
        revision = self.revision
        full: list[Resource] = []
        lost: dict[str, EngineUnreachableError] = {}
        for (summary, connection), view in zip(asked, views, strict=True):
            if view.cancelled():
                full.append(summary)
                continue
            match view.exception():
                case None:
                    full += view.result()
                case EngineUnreachableError() as error:
                    lost[connection.name] = error
                case error:
                    raise error
        if lost and not partial:
            raise EngineUnreachableError.of_all([*lost.values()])
        return Listing(tuple(full), tuple(lost), revision)

    async def _full(self, connection: EngineConnection, summary: Resource) -> Sequence[Resource]:
        try:
            return [await self._inventory.full(connection, summary.id)]
        except ResourceNotFoundError:
            return []
        except EngineUnreachableError:
            raise
        except ProaError:
            return [summary]


async def _until_silent(views: Sequence[asyncio.Future[Any]]) -> None:
    """Wait for all of these, for as long as one or another of them ends."""
    clock = asyncio.get_running_loop().time
    with suppress(TimeoutError):
        async with asyncio.timeout(SILENCE) as limit:
            for view in asyncio.as_completed(views):
                with suppress(ProaError):  # who waits for all looks at each
                    await view
                limit.reschedule(clock() + SILENCE)
