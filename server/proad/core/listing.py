"""Lists of all engines' resources: what is asked for, in the order asked for."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import total_ordering

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.link import Link
from proad.errors import EngineUnreachableError, InvalidArgumentError, ResourceNotFoundError
from proad.model import Resource, ResourceFilter


@dataclass(frozen=True, slots=True)
class Listing:
    """Resources in order, and the engines that could not be asked."""

    resources: tuple[Resource, ...]
    unreachable: tuple[str, ...]


_SORTABLE: Mapping[str, Callable[[Resource], str]] = {
    "name": lambda r: r.name,
    "kind": lambda r: r.kind,
    "state": lambda r: r.state,
    "create_time": lambda r: r.create_time.isoformat() if r.create_time else "",
    "host": lambda r: r.host,
}


@total_ordering
@dataclass(frozen=True, slots=True)
class Position:
    """Where a resource stands in an order. The id decides between equals.

    `values` are plain strings, so that a page token can carry a position.
    """

    values: tuple[str, ...]
    descending: tuple[bool, ...]

    def __lt__(self, other: "Position") -> bool:
        for mine, theirs, down in zip(self.values, other.values, self.descending, strict=True):
            if mine != theirs:
                return (mine > theirs) if down else (mine < theirs)
        return False


class Order:
    """An `order_by` such as "state desc, name"; by name if it is empty."""

    def __init__(self, text: str) -> None:
        fields: list[str] = []
        descending: list[bool] = []
        for part in (text or "name").split(","):
            match part.split():
                case [field] if field in _SORTABLE:
                    descending.append(False)
                case [field, "desc" | "asc" as direction] if field in _SORTABLE:
                    descending.append(direction == "desc")
                case _:
                    known = ", ".join(_SORTABLE)
                    raise InvalidArgumentError.of(
                        "order_by",
                        f"{part.strip()!r} must be one of {known}, with an optional ' desc'",
                    )
            fields.append(field)
        self._fields = tuple(fields)
        self._descending = (*descending, False)

    def position(self, resource: Resource) -> Position:
        """Tell where `resource` stands."""
        return self.at((*(_SORTABLE[field](resource) for field in self._fields), resource.id))

    def at(self, values: Sequence[str]) -> Position:
        """Make a position of its values; ValueError if it is not one of this order."""
        if len(values) != len(self._descending):
            raise ValueError("a position of another order")
        return Position(tuple(values), self._descending)


class Lists:
    """Reads the inventory, for all engines that a filter covers."""

    def __init__(self, hosts: Hosts, inventory: Inventory) -> None:
        self._hosts = hosts
        self._inventory = inventory

    @property
    def revision(self) -> int:
        """The inventory's revision. At the same one, the same list comes out."""
        return self._inventory.journal.revision

    async def resources(self, which: ResourceFilter, order: Order, *, partial: bool) -> Listing:
        """List SUMMARY views of the resources that `which` lets through.

        Raises:
            EngineUnreachableError: an engine that the filter covers does not answer,
                and `partial` is not set.
        """
        links = self._hosts.covered(which)
        answers = await asyncio.gather(
            *(self._inventory.mirror(link).ready() for link in links), return_exceptions=True
        )
        resources: list[Resource] = []
        unreachable: list[str] = []
        for link, answer in zip(links, answers, strict=True):
            match answer:
                case EngineUnreachableError() if partial:
                    unreachable.append(link.name)
                case BaseException():
                    raise answer
                case _:
                    resources += filter(which.matches, self._inventory.all(link))
        return Listing(tuple(sorted(resources, key=order.position)), tuple(unreachable))

    async def in_full(self, resources: Sequence[Resource]) -> list[Resource]:
        """Give the FULL views of these resources, without those that are gone by now."""
        links = {
            (link.host, kind): link for link in self._hosts.links for kind in link.driver.kinds
        }
        full = await asyncio.gather(*(self._full(links[r.host, r.kind], r.id) for r in resources))
        return [r for r in full if r is not None]

    async def _full(self, link: Link, id: str) -> Resource | None:
        try:
            return await self._inventory.full(link, id)
        except ResourceNotFoundError:
            return None
