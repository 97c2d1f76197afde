"""Lists of all engines' resources: filtered, in order, page by page."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import KEPT_ORDERS, LONGEST_NAME, Inventory, Position
from proad.core.slices import TimeSlicer
from proad.core.tenancy import Visibility, current_visibility
from proad.errors import (
    EngineUnreachableError,
    InvalidArgumentError,
    PageTokenInvalidError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import EngineRef, Resource, ResourceFilter, ResourceKind

_Covered = Sequence[tuple[EngineConnection, ResourceKind]]

# Resources that are filtered and sorted in one go, between two looks at the time.
_BATCH = 256

_SORT_VALUES: Mapping[str, Callable[[Resource], str]] = {
    **KEPT_ORDERS,
    "kind": lambda r: r.kind,
    "state": lambda r: r.state,
    "host": lambda r: r.engine.host,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Resources in order, and the engines that could not be asked.

    Attributes:
        more: whether others follow.
        revision: the revision of the inventory when the resources were read.
    """

    resources: Sequence[Resource]
    unreachable: Sequence[EngineRef]
    more: bool = False
    revision: int = 0


class _Descending(str):
    """A sort value that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


class OrderBy:
    """An `order_by` such as "state desc, name"; by name if it is empty.

    Between resources of the same sort values the id decides, then the host: the same domain
    can be defined on two.

    Attributes:
        kept: the order that the inventory keeps, and whether it is descending; None: the
            inventory does not keep this order.
    """

    def __init__(self, text: str) -> None:
        descending: dict[str, bool] = {}  # by field; named again, it decides nothing
        for part in (text or "name").split(","):
            match part.split():
                case [field] if field in _SORT_VALUES:
                    descending.setdefault(field, False)
                case [field, "desc" | "asc" as direction] if field in _SORT_VALUES:
                    descending.setdefault(field, direction == "desc")
                case _:
                    known = ", ".join(_SORT_VALUES)
                    raise InvalidArgumentError.of(
                        "order_by",
                        f"{part.strip()!r} must be one of {known}, with an optional ' desc'",
                    )
        self._values = [_SORT_VALUES[field] for field in descending]
        self._types = [*(_Descending if down else str for down in descending.values()), str, str]
        (field, down), *others = descending.items()
        self.kept = (field, down) if field in KEPT_ORDERS and not others else None

    def position(self, resource: Resource) -> Position:
        """Return where a resource stands: its sort values, its id and its host.

        A position is plain strings, so that a page token can carry it.
        """
        return (*(value(resource) for value in self._values), resource.id, resource.engine.host)

    def key(self, position: Position) -> tuple[str, ...]:
        """Return what positions are compared by.

        Raises:
            PageTokenInvalidError: it is a position of another order.
        """
        if len(position) != len(self._types):
            raise PageTokenInvalidError
        return tuple(cls(value) for cls, value in zip(self._types, position, strict=True))


class ResourceLister:
    """Lists resources of all engines that a filter covers, page by page, from the inventory.

    Args:
        hosts: all engines.
        inventory: the resources.
        slicer: shares the event loop's time among long lists.
        full_view_patience: seconds without an answer after which a list waits no longer for
            FULL views.
    """

    def __init__(
        self,
        hosts: Hosts,
        inventory: Inventory,
        slicer: TimeSlicer,
        *,
        full_view_patience: float = 2.0,
    ) -> None:
        self._full_view_patience = full_view_patience
        self._slicer = slicer
        self._hosts = hosts
        self._inventory = inventory

    async def page(
        self,
        which: ResourceFilter,
        order: OrderBy,
        limit: int,
        *,
        after: Position | None = None,
        partial: bool = False,
    ) -> Listing:
        """List SUMMARY views of the resources that `which` lets through.

        Args:
            which: the filter.
            order: the order.
            limit: how many resources to list at most.
            after: the position that the page begins after; None: the first page.
            partial: whether to leave out engines that do not answer.

        Raises:
            EngineUnreachableError: engines that the filter covers do not answer, and
                `partial` is not set.
            PageTokenInvalidError: `after` is a position of another order.
        """
        begin = None if after is None else order.key(after)
        connections = self._hosts.covered(which)
        lost = await self._inventory.lost(connections)
        if lost and not partial:
            raise EngineUnreachableError.of_all([*lost.values()])
        covered = [
            (connection, kind)
            for connection in connections
            if connection.ref not in lost
            for kind in connection.driver.kinds
            if not which.kinds or kind in which.kinds
        ]
        revision = self._inventory.revision
        visibility = current_visibility()
        found = self._indexed(which, order, covered, limit + 1, after, visibility)
        if found is None:
            found = await self._sorted(which, order, covered, limit + 1, begin, visibility)
        return Listing(found[:limit], tuple(lost), more=len(found) > limit, revision=revision)

    def _indexed(
        self,
        which: ResourceFilter,
        order: OrderBy,
        covered: _Covered,
        limit: int,
        after: Position | None,
        visibility: Visibility,
    ) -> Sequence[Resource] | None:
        """List in a kept order; None: the filter or the order needs a look at all resources."""
        if (
            order.kept is None
            or which.states
            or which.labels
            or which.image
            or which.ids
            or which.owners
        ):
            return None
        field, descending = order.kept
        prefix = which.name_prefix
        if prefix and (field != "name" or descending or len(prefix) > LONGEST_NAME):
            return None
        return self._inventory.page(
            field,
            covered,
            limit,
            descending=descending,
            after=after,
            prefix=prefix,
            owners=visibility.owners,
        )

    async def _sorted(
        self,
        which: ResourceFilter,
        order: OrderBy,
        covered: _Covered,
        limit: int,
        begin: tuple[str, ...] | None,
        visibility: Visibility,
    ) -> Sequence[Resource]:
        """Filter and sort all resources, in slices of the event loop's time."""
        engines = {connection.ref: connection for connection, _kind in covered}
        candidates = (
            [
                entry.published
                for id in {id.rpartition("/")[2] for id in which.ids}
                for entry in self._inventory.with_id(id)
                if entry.engine in engines and visibility.shows(entry.published)
            ]
            if which.ids
            else [r for each in engines.values() for r in self._inventory.all(each, visibility)]
        )
        found: list[tuple[tuple[str, ...], Resource]] = []
        async for start in self._slicer.each(range(0, len(candidates), _BATCH)):
            for resource in candidates[start : start + _BATCH]:
                if which.matches(resource):
                    key = order.key(order.position(resource))
                    if begin is None or begin < key:
                        found.append((key, resource))
            found.sort(key=itemgetter(0))
            del found[limit:]
        return [resource for _key, resource in found]

    async def full_views(self, resources: Sequence[Resource], *, partial: bool) -> Listing:
        """Return the FULL views of these resources, without those that are gone by now.

        A resource that its engine cannot read stays a SUMMARY. One that hangs delays the list
        by the patience for FULL views, and a broken one does not fail it.

        Raises:
            EngineUnreachableError: engines were lost meanwhile, and `partial` is not set.
        """
        connections = {connection.ref: connection for connection in self._hosts.connections}
        asked = [(r, connections[r.engine]) for r in resources]
        views = [
            asyncio.ensure_future(self._full(connection, r))
            async for r, connection in self._slicer.each(asked)
        ]
        try:
            await self._wait_for(views)
        finally:
            for view in views:
                view.cancel()
            await asyncio.gather(*views, return_exceptions=True)
        full: list[Resource] = []
        lost: dict[EngineRef, EngineUnreachableError] = {}
        for (summary, connection), view in zip(asked, views, strict=True):
            if view.cancelled():
                full.append(summary)
                continue
            match view.exception():
                case None:
                    full += view.result()
                case EngineUnreachableError() as error:
                    lost[connection.ref] = error
                case error:
                    raise error
        if lost and not partial:
            raise EngineUnreachableError.of_all([*lost.values()])
        return Listing(full, tuple(lost))

    async def _full(self, connection: EngineConnection, summary: Resource) -> Sequence[Resource]:
        try:
            return [await self._inventory.full(connection, summary.id)]
        except ResourceNotFoundError:
            return []
        except EngineUnreachableError:
            raise
        except ProaError:
            return [summary]

    async def _wait_for(self, views: Sequence[asyncio.Future[Any]]) -> None:
        """Wait for all of these, for as long as one or another of them ends."""
        clock = asyncio.get_running_loop().time
        with suppress(TimeoutError):
            async with asyncio.timeout(self._full_view_patience) as limit:
                for view in asyncio.as_completed(views):
                    with suppress(ProaError):  # the caller handles the failure of each view
                        await view
                    limit.reschedule(clock() + self._full_view_patience)
