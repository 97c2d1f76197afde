"""The sorted indexes behind lists: a page costs the same among few resources and among many."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product, takewhile
from types import MappingProxyType

from sortedcontainers import SortedList

from proad.model import EngineRef, Resource, ResourceKind

Position = tuple[str, ...]
"""Where a resource stands in a kept order: its sort value, its id and its host."""

Key = tuple[EngineRef, str]
"""An engine, and the full id of one of its resources."""

# Docker lets a name have any length, and a page token that carries one must stay short
# enough to be taken back. Names that differ only after so many characters are in order of id.
LONGEST_NAME = 255

KEPT_ORDERS: Mapping[str, Callable[[Resource], str]] = MappingProxyType(
    {
        "name": lambda r: r.name[:LONGEST_NAME],
        "create_time": lambda r: r.create_time.isoformat() if r.create_time else "",
    }
)
"""The sort value of a resource, by the field of `order_by`, in the orders that are kept."""

# Greater than any id.
_MAX_ID = chr(0x10FFFF)

_Order = tuple[str, EngineRef, ResourceKind, str]
"""A kept order of an engine's resources of a kind, of one owner or of anybody."""
_ANYBODY = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one resource stands in every index."""

    kind: ResourceKind
    digits: str
    positions: tuple[Position, ...]
    owner_id: str = ""


@dataclass(slots=True)
class ResourceIndex:
    """Keeps all resources in order of name, create time and id.

    An order is kept for each engine and kind, of all resources and of each owner's: lists of some
    hosts, kinds or owners merge those that they cover. Adding, moving or removing a resource costs
    O(log n), a page O(log n + page).
    """

    _places: dict[Key, _Place] = field(default_factory=dict)
    _orders: "dict[_Order, SortedList[Position]]" = field(default_factory=dict)
    _digits: "dict[tuple[EngineRef, ResourceKind], SortedList[tuple[str, str]]]" = field(
        default_factory=dict
    )

    def put(self, engine: EngineRef, resource: Resource) -> None:
        """Add a resource, or move it to where it stands now."""
        id = resource.id
        positions = tuple((value(resource), id, engine.host) for value in KEPT_ORDERS.values())
        before = self._places.get((engine, id))
        owner_id = before.owner_id if before else ""
        place = _Place(resource.kind, id.replace("-", ""), positions, owner_id)
        if before == place:
            return
        self.remove(engine, id)
        self._places[engine, id] = place
        self._digits.setdefault((engine, place.kind), SortedList()).add((place.digits, id))
        for order, position in _positions(engine, place):
            self._orders.setdefault(order, SortedList()).add(position)

    def own(self, engine: EngineRef, id: str, owner_id: str) -> None:
        """Set the owner of a resource that is there; an empty id stands for none."""
        before = self._places[engine, id]
        if before.owner_id == owner_id:
            return
        place = self._places[engine, id] = replace(before, owner_id=owner_id)
        for order, position in _positions(engine, before, of_owner=True):
            self._discard(order, position)
        for order, position in _positions(engine, place, of_owner=True):
            self._orders.setdefault(order, SortedList()).add(position)

    def remove(self, engine: EngineRef, id: str) -> None:
        """Remove a resource, if it is there."""
        place = self._places.pop((engine, id), None)
        if place is None:
            return
        self._digits[engine, place.kind].remove((place.digits, id))
        for order, position in _positions(engine, place):
            self._discard(order, position)

    def _discard(self, order: _Order, position: Position) -> None:
        positions = self._orders[order]
        positions.remove(position)
        if not positions:  # owners come and go
            del self._orders[order]

    def starting(self, digits: str, engine: EngineRef, kind: ResourceKind) -> Iterator[str]:
        """Return the ids that, without their hyphens, start with `digits`, in order."""
        for found, id in self._digits.get((engine, kind), SortedList()).irange((digits, "")):
            if not found.startswith(digits):
                return
            yield id

    def count_starting(self, digits: str, engine: EngineRef, kind: ResourceKind) -> int:
        """Return the number of ids that `starting` returns, without looking at each."""
        there = self._digits.get((engine, kind), SortedList())
        return int(there.bisect_left((digits + _MAX_ID, "")) - there.bisect_left((digits, "")))

    def page(
        self,
        order: str,
        covered: Iterable[tuple[EngineRef, ResourceKind]],
        limit: int,
        *,
        descending: bool = False,
        after: Position | None = None,
        prefix: str = "",
        owners: Collection[str] | None = None,
    ) -> list[Key]:
        """Return the next resources in a kept order; between equal values the id decides.

        Args:
            order: one of `KEPT_ORDERS`.
            covered: the engines and kinds that are listed.
            limit: how many resources to return at most.
            descending: the greatest values come first. Ids stay in ascending order.
            after: the position that the page begins after; None: the first page.
            prefix: what the sort values start with, in an ascending order.
            owners: ids of the owners whose resources are listed; None: everybody's.
        """
        found: list[tuple[Position, EngineRef]] = []
        whose = (_ANYBODY,) if owners is None else owners
        for (engine, kind), owner_id in product(covered, whose):
            positions = self._orders.get((order, engine, kind, owner_id))
            if positions is None:
                continue
            next_positions = (
                _descending(positions, limit, after)
                if descending
                else _ascending(positions, limit, after, prefix)
            )
            found += ((position, engine) for position in next_positions)
        found.sort(key=lambda each: each[0][1:] if descending else each[0])
        if descending:
            found.sort(key=lambda each: each[0][0], reverse=True)
        return [(engine, position[1]) for position, engine in found[:limit]]

    def owned(self, engine: EngineRef, kind: ResourceKind, owner_id: str) -> Iterator[str]:
        """Return the ids of an owner's resources, in order of name."""
        positions = self._orders.get(("name", engine, kind, owner_id), SortedList())
        return (position[1] for position in positions)


def _positions(
    engine: EngineRef, place: _Place, *, of_owner: bool = False
) -> Iterator[tuple[_Order, Position]]:
    """Yield each order that a place is in, or of its owner alone, with its position there."""
    whose = {place.owner_id} - {_ANYBODY} if of_owner else {_ANYBODY, place.owner_id}
    for owner_id in whose:
        for order, position in zip(KEPT_ORDERS, place.positions, strict=True):
            yield (order, engine, place.kind, owner_id), position


def _ascending(
    positions: "SortedList[Position]", limit: int, after: Position | None, prefix: str
) -> Iterator[Position]:
    if after is None or after < (prefix,):
        following = positions.irange((prefix,))
    else:
        following = positions.irange(after, inclusive=(False, False))
    if prefix:
        following = takewhile(lambda position: position[0].startswith(prefix), following)
    return islice(following, limit)


def _descending(
    positions: "SortedList[Position]", limit: int, after: Position | None
) -> list[Position]:
    """Return the next positions, in any order.

    Backwards, ids come in descending order, too. So of the last value that the page reaches,
    those with the least ids are taken instead.
    """
    found: list[Position] = []
    if after is None:
        lower = reversed(positions)
    else:
        value = after[0]
        same = positions.irange(after, (value, _MAX_ID), inclusive=(False, False))
        found += islice(same, limit)
        lower = positions.irange(maximum=(value,), inclusive=(True, False), reverse=True)
    rest = list(islice(lower, limit - len(found)))
    if rest:
        last = rest[-1][0]
        found += (position for position in rest if position[0] != last)
        found += islice(positions.irange((last,), (last, _MAX_ID)), limit - len(found))
    return found
