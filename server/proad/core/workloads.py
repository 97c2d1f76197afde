"""Making containers and domains."""

from dataclasses import replace

from proad.core.hosts import Hosts, require
from proad.core.operations import Operations
from proad.core.ports import Containers, Domains
from proad.core.resolve import Resolver
from proad.model import (
    ContainerSpec,
    CreatedContainer,
    DomainSpec,
    DomainXml,
    Pruned,
    PruneFilter,
    Resource,
    with_allowed_verbs,
)


class Workloads:
    """What ContainerService and DomainService do. A create outlives its call, so that it
    is never left half done; the errors are those of the ports.
    """

    def __init__(self, hosts: Hosts, resolver: Resolver, operations: Operations) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._operations = operations

    async def create_container(
        self, spec: ContainerSpec, *, start: bool, host: str
    ) -> CreatedContainer:
        """Create a container on a host."""
        link, driver = self._hosts.offering(Containers, host)
        created = await self._operations.run(
            lambda: link.verb(lambda: driver.create_container(spec, start=start))
        )
        return replace(created, resource=with_allowed_verbs(created.resource, link.host))

    async def prune_containers(self, which: PruneFilter, *, host: str) -> Pruned:
        """Remove stopped containers from a host."""
        link, driver = self._hosts.offering(Containers, host)
        return await self._operations.run(lambda: link.verb(lambda: driver.prune_containers(which)))

    async def create_domain(self, spec: DomainSpec, *, start: bool, host: str) -> Resource:
        """Create a domain on a host."""
        link, driver = self._hosts.offering(Domains, host)
        resource = await self._operations.run(
            lambda: link.verb(lambda: driver.create_domain(spec, start=start))
        )
        return with_allowed_verbs(resource, link.host)

    async def create_domain_from_xml(
        self, source: DomainXml, *, start: bool, host: str
    ) -> Resource:
        """Create a domain on a host from XML."""
        link, driver = self._hosts.offering(Domains, host)
        resource = await self._operations.run(
            lambda: link.verb(lambda: driver.create_domain_from_xml(source, start=start))
        )
        return with_allowed_verbs(resource, link.host)

    async def domain_xml(self, ref: str, *, inactive: bool) -> str:
        """Give a domain as XML."""
        found = await self._resolver.find(ref)
        driver = require(found.link.driver, Domains)
        return await found.link.read(
            lambda: driver.get_domain_xml(found.resource.id, inactive=inactive)
        )
