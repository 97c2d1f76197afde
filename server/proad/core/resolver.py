"""From what a caller wrote for a resource to the resource."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, takewhile

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Entry, Inventory
from proad.core.reference import Reference
from proad.core.tenancy import current_visibility
from proad.errors import (
    AmbiguousIdError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import EngineRef, Resource, ResourceKind
from proad.ports import Domains, Driver

# Number of candidates that are refreshed, or named in an error: with more of them, it is
# unlikely that only one still exists, and an error has no room for all.
_MOST_CANDIDATES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverTiming:
    """Durations of finding a resource, in seconds.

    Attributes:
        refresh_within: how long a refresh of each resource that a name could mean may take.
        find_name_within: how long an engine has to answer whether it has a name that is not
            in the inventory.
    """

    refresh_within: float = 2.0
    find_name_within: float = 0.5


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

    A full id means itself, whatever other resources are called, and a name goes before a prefix of
    an id. A prefix as long as those that tools print goes beside it: who calls a container by the
    short id of another one does not get what is meant for that one.

    What fits two resources in the same way is refused, unless a refresh shows that only one of
    them is left: a name passes from one container to the next before the engine has told of
    either. The number of a running domain is asked of the engines each time: it is another
    domain's after the next start. For a full id or a name that is not in the inventory, the
    engines are asked. An engine that does not answer matters only if no other engine has the
    resource, or if what is found is merely called like an id that the lost engine may have.

    A subject that may not see everything gets what the inventory has of the subject's own, and no
    engine is asked: what is somebody else's costs the same as what is not there. What that subject
    has made is in the inventory when the create answers. The number of a running domain, which
    counts everybody's, means nothing to such a subject.

    Args:
        hosts: the host connections.
        inventory: the inventory.
        timing: durations.
    """

    def __init__(
        self, hosts: Hosts, inventory: Inventory, timing: ResolverTiming = ResolverTiming()
    ) -> None:
        self._hosts = hosts
        self._inventory = inventory
        self._timing = timing
        self._connections = {connection.ref: connection for connection in hosts.connections}

    async def find(self, text: str) -> ResolvedResource:
        """Return the resource that a reference means.

        Raises:
            InvalidArgumentError: `text` cannot be a reference.
            ResourceNotFoundError: no resource fits.
            AmbiguousIdError: two or more fit.
            EngineUnreachableError: engines that may have the resource do not answer.
        """
        # Most calls carry a full id: try the shortest way first.
        found = self._with_id(text)
        if len(found) == 1:
            return found[0]
        reference = Reference.parse(text)
        connections = self._covered(reference)
        restricted = current_visibility().is_restricted
        if reference.runtime_id and not restricted:
            return await self._find_running(reference, connections)
        synced = [each for each in connections if self._inventory.synced(each)]
        found = self._search(reference, synced)
        if not found and len(synced) < len(connections):
            # An engine whose resources are not known, or not yet, may have it.
            await self._require_synced(connections)
            synced = connections
            found = self._search(reference, synced)
        elif found and reference.full_id not in {"", found[0].resource.id}:
            # The name found is spelled like an id that an engine not synced may have.
            unseen = [
                each
                for each in connections
                if each not in synced and _may_have(each, reference.full_id)
            ]
            await self._require_synced(unseen)
            synced += unseen
            found = self._search(reference, synced)
        if 1 < len(found) <= _MOST_CANDIDATES:
            await asyncio.gather(*map(self._refresh, found))
            found = self._search(reference, synced)
        if not found and not restricted:
            found = await self._ask(reference, connections)
        return self._only(found, reference, synced)

    def _only(
        self,
        found: Sequence[ResolvedResource],
        reference: Reference,
        connections: Sequence[EngineConnection],
    ) -> ResolvedResource:
        """Return the resource that was found, unless there is none or more than one."""
        if len(found) > 1:
            count = len(found)
            if count > _MOST_CANDIDATES:
                places = _places(reference, connections)
                count = sum(self._count_starting(reference.digits, *each) for each in places)
            candidates = [each.resource.path for each in found[:_MOST_CANDIDATES]]
            raise AmbiguousIdError(reference.text, candidates, of=count)
        if not found:
            raise ResourceNotFoundError(reference.text)
        return ResolvedResource(found[0].connection, found[0].resource, reference.text)

    async def find_successor(self, gone: ResolvedResource) -> ResolvedResource | None:
        """Return the resource that has the name of one that has gone; None if none has.

        Errors are those of `find`.
        """
        successor = await self.find(gone.reference)
        was, now = gone.resource, successor.resource
        if (now.engine, now.id) == (was.engine, was.id) or now.name != was.name:
            return None
        return successor

    def _covered(self, reference: Reference) -> list[EngineConnection]:
        return [each for each in self._hosts.connections if reference.covers(each)]

    async def _require_synced(self, connections: Sequence[EngineConnection]) -> None:
        if lost := await self._inventory.lost(connections):
            raise EngineUnreachableError.of_all([*lost.values()])

    def _count_starting(self, digits: str, connection: EngineConnection, kind: ResourceKind) -> int:
        """Return the number of resources that may be seen and whose ids start so."""
        visibility = current_visibility()
        if not visibility.is_restricted:
            return self._inventory.count_starting(digits, connection, kind)
        entries = self._inventory.starting(digits, connection, kind)
        return sum(visibility.shows(entry.published) for entry in entries)

    def _with_id(self, id: str) -> list[ResolvedResource]:
        """Return the resources of this full id on the engines that are synced."""
        visibility = current_visibility()
        found = (
            ResolvedResource(self._connections[entry.engine], entry.published, id)
            for entry in self._inventory.with_id(id)
            if visibility.shows(entry.published)
        )
        return [each for each in found if self._inventory.synced(each.connection)]

    def _search(
        self, reference: Reference, connections: Sequence[EngineConnection]
    ) -> list[ResolvedResource]:
        by_name = {connection.ref: connection for connection in connections}
        inventory = self._inventory
        if found := _among(inventory.with_id(reference.full_id), reference.names, by_name):
            return found
        found = _among(inventory.named(reference.name), reference.names, by_name)
        if not found:
            return self._starting(reference, connections)
        if reference.is_short_id:
            had = {(each.connection.ref, each.resource.id) for each in found}
            starting = self._starting(reference, connections)
            found += [e for e in starting if (e.connection.ref, e.resource.id) not in had]
        return found

    def _starting(
        self, reference: Reference, connections: Sequence[EngineConnection]
    ) -> list[ResolvedResource]:
        """Return the resources whose ids start so; of very many, more than an error names."""
        if not reference.digits:
            return []
        found: list[ResolvedResource] = []
        visibility = current_visibility()
        for connection, kind in _places(reference, connections):
            entries = self._inventory.starting(reference.digits, connection, kind)
            # The ids of a kind have their hyphens in the same places, so the first decides.
            fitting = takewhile(lambda entry: reference.starts(entry.observed), entries)
            visible = (entry for entry in fitting if visibility.shows(entry.published))
            found += (
                ResolvedResource(connection, entry.published)
                for entry in islice(visible, _MOST_CANDIDATES + 1)
            )
        return found

    async def _find_running(
        self, reference: Reference, connections: Sequence[EngineConnection]
    ) -> ResolvedResource:
        """Return the domain that runs under a number now."""
        answers = await asyncio.gather(
            *(self._running_on(each, reference.runtime_id) for each in connections),
            return_exceptions=True,
        )
        found = [each for each in answers if isinstance(each, ResolvedResource)]
        errors = [each for each in answers if isinstance(each, BaseException)]
        if errors and not found:
            raise errors[0]
        return self._only(found, reference, connections)

    async def _running_on(
        self, connection: EngineConnection, runtime_id: int
    ) -> ResolvedResource | None:
        driver = connection.driver
        if not isinstance(driver, Domains):
            return None
        id = await connection.read(lambda: driver.find_running(runtime_id))
        entry = await self._inventory.refresh(connection, id) if id else None
        return None if entry is None else ResolvedResource(connection, entry.published)

    async def _refresh(self, resolved: ResolvedResource) -> None:
        """Refresh a resource; if the refresh fails, the inventory keeps what it has."""
        with suppress(ProaError, TimeoutError):
            async with asyncio.timeout(self._timing.refresh_within):
                await self._inventory.refresh(resolved.connection, resolved.resource.id)

    async def _ask(
        self, reference: Reference, connections: Sequence[EngineConnection]
    ) -> list[ResolvedResource]:
        """Ask the engines, which may have made the resource a moment ago."""
        answers = await asyncio.gather(*(self._ask_one(reference, each) for each in connections))
        return [resolved for resolved in answers if resolved is not None]

    async def _ask_one(
        self, reference: Reference, connection: EngineConnection
    ) -> ResolvedResource | None:
        entry = None
        if _may_have(connection, reference.full_id):
            entry = await self._inventory.refresh(connection, reference.full_id)
        if entry is None and (id := await self._find_id(reference.name, connection)):
            entry = await self._inventory.refresh(connection, id)
        if entry is None or not reference.names(entry.observed):
            return None
        return ResolvedResource(connection, entry.published)

    async def _find_id(self, name: str, connection: EngineConnection) -> str:
        """Ask an engine for the id of a name; assume that a hung engine has none."""
        with suppress(TimeoutError, EngineTimedOutError):
            async with asyncio.timeout(self._timing.find_name_within):
                return await connection.read(lambda: connection.driver.find_id(name))
        return ""


def _may_have(connection: EngineConnection, full_id: str) -> bool:
    """Return whether an engine has resources of the kind that has such ids."""
    kind = ResourceKind.DOMAIN if "-" in full_id else ResourceKind.CONTAINER
    return full_id != "" and kind in connection.driver.kinds


def _places(
    reference: Reference, connections: Iterable[EngineConnection]
) -> Iterator[tuple[EngineConnection, ResourceKind]]:
    """Yield each engine with each kind that the resource may be of there."""
    for connection in connections:
        for kind in connection.driver.kinds:
            if reference.kind in {None, kind}:
                yield connection, kind


def _among(
    candidates: Iterable[Entry],
    fits: Callable[[Resource], bool],
    connections: Mapping[EngineRef, EngineConnection],
) -> list[ResolvedResource]:
    visibility = current_visibility()
    return [
        ResolvedResource(connections[entry.engine], entry.published)
        for entry in candidates
        if entry.engine in connections
        and visibility.shows(entry.published)
        and fits(entry.observed)
    ]
