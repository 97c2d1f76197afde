"""The one way into a resource: for commands, consoles, connections, files and logs."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from proad.core.beside import beside
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import require
from proad.core.inventory import Entry, Inventory
from proad.core.requests import announce
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.tenancy import current_visibility
from proad.errors import ResourceNotFoundError, StateError
from proad.model import INACTIVE, Action, Intent, Resource, ResourceKind, ResourceState
from proad.model.verbs import entering_refusal

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Entered(Generic[P]):
    """A resource that a caller may work inside of.

    Attributes:
        connection: the connection to its engine.
        driver: the driver, as one with the capability that was asked for.
        id: its full id.
        kind: its kind.
    """

    connection: EngineConnection
    driver: P
    id: str
    kind: ResourceKind


class Entrance:
    """Admits callers into resources.

    Whoever is inside has the power of the resource, so that the policy judges the resource as at a
    start. Who loses sight of it, since it was handed over, is put out.

    Args:
        resolver: finds the resources.
        inventory: the resources and their changes.
        gate: judges what a resource lends its caller.
    """

    def __init__(self, resolver: Resolver, inventory: Inventory, gate: PolicyGate) -> None:
        self._resolver = resolver
        self._inventory = inventory
        self._gate = gate

    @asynccontextmanager
    async def enter(
        self,
        ref: str,
        capability: type[P],
        action: Action,
        *,
        at_rest: Collection[ResourceState] = (),
        until_stopped: bool = False,
    ) -> AsyncIterator[Entered[P]]:
        """Admit the caller into a resource for as long as the block runs.

        Args:
            ref: what the caller wrote for the resource.
            capability: the port that the block needs.
            action: what the block does.
            at_rest: states beside RUNNING in which there is something to do inside, too.
            until_stopped: whether to end the block when the resource stops, where nothing inside
                of it tells that.

        Raises:
            StateError: it is not RUNNING, nor in one of those states; or with `until_stopped` it
                has stopped.
            CapabilityMissingError: its engine lacks the capability.
            PolicyDeniedError: the caller's profile would not let the caller make it.
            ResourceNotFoundError: there is none, or it was handed over meanwhile.
            ShuttingDownError: the daemon is stopping.
        """
        resolved = await self._resolver.find(ref)
        driver = require(resolved.driver, capability)
        connection = resolved.connection
        entry = await self._permit(resolved, at_rest)
        connection.check()
        await self._gate.check_entering(connection, entry)
        await announce(
            Intent(
                action=action,
                host=connection.ref.host,
                driver=connection.ref.driver,
                id=entry.observed.id,
                path=entry.path,
            )
        )
        async with beside(self._while_shown(entry, until_stopped=until_stopped)):
            with connection.call():
                yield Entered(connection, driver, entry.observed.id, entry.observed.kind)

    @asynccontextmanager
    async def look_in(self, ref: str, capability: type[P]) -> AsyncIterator[Entered[P]]:
        """Let the caller see what goes on in a resource, in any state, for as long as the block runs.

        That lends the caller nothing: the policy is not asked, and nothing is announced.

        Args:
            ref: what the caller wrote for the resource.
            capability: the port that the block needs.

        Raises:
            CapabilityMissingError: its engine lacks the capability.
            ResourceNotFoundError: there is none, or it was handed over meanwhile.
            ShuttingDownError: the daemon is stopping.
        """
        resolved = await self._resolver.find(ref)
        driver = require(resolved.driver, capability)
        entry = await self._permit(resolved, tuple(ResourceState))
        async with beside(self._while_shown(entry, until_stopped=False)):
            with resolved.connection.call():
                yield Entered(resolved.connection, driver, entry.observed.id, entry.observed.kind)

    async def _permit(
        self, resolved: ResolvedResource, at_rest: Collection[ResourceState]
    ) -> Entry:
        """Return the entry of a resource that runs, or is in one of these states."""
        connection, id = resolved.connection, resolved.resource.id
        entry = self._inventory.entry(connection, id)
        if entry is None or _refusal(entry.observed, at_rest) is not None:
            # The engine may be ahead of its own events.
            entry = await self._inventory.refresh(connection, id)
        if entry is None or not current_visibility().shows(entry.published):
            raise ResourceNotFoundError(resolved.resource.name)
        if error := _refusal(entry.observed, at_rest):
            error.metadata["path"] = entry.path
            raise error
        return entry

    async def _while_shown(self, entry: Entry, *, until_stopped: bool) -> None:
        """Return never: raise once the caller may not see the resource any more, or it stops."""
        visibility, history = current_visibility(), self._inventory.history
        with history.signal(entry.path) as changed:
            while True:
                changed.clear()
                history.check_open()
                if not visibility.shows(entry.published):
                    raise ResourceNotFoundError(entry.published.name)
                if until_stopped and entry.observed.state in INACTIVE:
                    raise entering_refusal(entry.observed) or ResourceNotFoundError(entry.path)
                await changed.wait()


def _refusal(resource: Resource, at_rest: Collection[ResourceState]) -> StateError | None:
    return None if resource.state in at_rest else entering_refusal(resource)
