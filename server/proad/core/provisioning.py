"""Making containers and domains."""

from collections.abc import Awaitable, Callable

from proad.core.actor import current_actor
from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts, require
from proad.core.inventory import Inventory
from proad.core.operations import Operations
from proad.core.ports import Containers, Domains, OnMade
from proad.core.resolver import Resolver
from proad.model import (
    ContainerSpec,
    CreatedContainer,
    DomainSpec,
    DomainXml,
    Pruned,
    PruneFilter,
    Resource,
)


class Provisioning:
    """What ContainerService and DomainService do. A create outlives its call, so that it
    is never left half done; the errors are those of the ports.
    """

    def __init__(
        self, hosts: Hosts, resolver: Resolver, operations: Operations, inventory: Inventory
    ) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._operations = operations
        self._inventory = inventory

    async def create_container(
        self, spec: ContainerSpec, *, start: bool, host: str
    ) -> CreatedContainer:
        """Create a container on a host."""
        connection, driver = self._hosts.offering(Containers, host)
        warnings: list[str] = []

        async def create(on_made: OnMade) -> Resource:
            created = await driver.create_container(spec, start=start, on_made=on_made)
            warnings.extend(created.warnings)
            return created.resource

        resource = await self._create(connection, create)
        return CreatedContainer(resource=resource, warnings=tuple(warnings))

    async def prune_containers(self, which: PruneFilter, *, host: str) -> Pruned:
        """Remove stopped containers from a host."""
        connection, driver = self._hosts.offering(Containers, host)
        refresher = self._inventory.refresher(connection)

        async def prune() -> Pruned:
            with refresher.pruning():
                pruned = await connection.verb(lambda: driver.prune_containers(which))
                for id in pruned.container_ids:
                    refresher.drop(id, actor=current_actor())
            return pruned

        return await self._operations.run(prune)

    async def create_domain(self, spec: DomainSpec, *, start: bool, host: str) -> Resource:
        """Create a domain on a host."""
        connection, driver = self._hosts.offering(Domains, host)
        return await self._create(
            connection, lambda on_made: driver.create_domain(spec, start=start, on_made=on_made)
        )

    async def create_domain_from_xml(
        self, source: DomainXml, *, start: bool, host: str
    ) -> Resource:
        """Create a domain on a host from XML."""
        connection, driver = self._hosts.offering(Domains, host)
        return await self._create(
            connection,
            lambda on_made: driver.create_domain_from_xml(source, start=start, on_made=on_made),
        )

    async def _create(
        self, connection: EngineConnection, create: Callable[[OnMade], Awaitable[Resource]]
    ) -> Resource:
        refresher = self._inventory.refresher(connection)

        async def change() -> Resource:
            with refresher.making() as on_made:
                made = await connection.verb(lambda: create(on_made))
                await refresher.refresh(made.id)
            return self._inventory.complete(connection, made)

        return await self._operations.run(change)

    async def domain_xml(self, ref: str, *, inactive: bool) -> str:
        """Give a domain as XML."""
        found = await self._resolver.find(ref)
        driver = require(found.connection.driver, Domains)
        return await found.connection.read(
            lambda: driver.get_domain_xml(found.resource.id, inactive=inactive)
        )
