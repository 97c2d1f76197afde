"""Creating containers and domains."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

from proad.core.charges import charge_of, charge_of_domain
from proad.core.engine_connection import EngineConnection
from proad.core.env_secrets import redacted, with_secrets
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts, require
from proad.core.image_judge import image_judge
from proad.core.image_ledger import ImageLedger
from proad.core.inventory import Inventory
from proad.core.quotas import Quotas
from proad.core.requests import (
    announce,
    is_only_checked,
    noting,
    refuse,
    tell_plan,
    witnessed,
)
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.core.volume_sources import read_volumes, written_volumes
from proad.core.volume_tenancy import VolumeTenancy
from proad.domain_parser import parse_domain, read_sources_of, sources_of
from proad.errors import InvalidArgumentError, ProaError, ResourceNotFoundError
from proad.model import (
    Action,
    Charge,
    ContainerSpec,
    CreatedContainer,
    DomainSpec,
    DomainXml,
    Footprint,
    Plan,
    Resource,
    Verb,
)
from proad.ports import AnnounceFootprint, Containers, Domains, Volumes


class Provisioning:
    """Creates containers and domains; errors are those of the ports.

    A create goes to its end though its caller goes away, so that nothing is left half done.
    """

    def __init__(
        self,
        hosts: Hosts,
        resolver: Resolver,
        tasks: ShieldedTasks,
        inventory: Inventory,
        gate: PolicyGate,
        volumes: VolumeTenancy,
        quotas: Quotas,
        ledger: ImageLedger,
    ) -> None:
        self._hosts = hosts
        self._resolver = resolver
        self._tasks = tasks
        self._inventory = inventory
        self._gate = gate
        self._volumes = volumes
        self._quotas = quotas
        self._ledger = ledger

    @shielded
    async def create_container(
        self, spec: ContainerSpec, *, start: bool, host: str, secrets_from: str = ""
    ) -> CreatedContainer:
        """Create a container on a host.

        Args:
            spec: what to create.
            start: whether to start the container.
            host: name of the host; empty: the first one.
            secrets_from: reference of the container whose values the redacted secrets take.
        """
        connection, driver = self._hosts.offering(Containers, host)
        with self._gate.claiming(spec):
            spec = await self._gate.admit_container(connection, spec)
            judge = image_judge(connection, spec, gate=self._gate, ledger=self._ledger)
            tell_plan(Plan.of_container(spec))
            with noting():
                image = await self._ledger.resolve(connection, spec.image)
                spec = replace(spec, image=image)
            if redacted(spec):
                with noting():
                    spec = await self._with_secrets(spec, secrets_from)
            async with self._creating(
                connection,
                Action.CREATE_CONTAINER,
                deletion_protection=spec.deletion_protection,
                charge=charge_of(spec),
                start=start,
            ) as begin:

                async def announced(footprint: Footprint) -> None:
                    await begin(footprint)
                    await self._volumes.plan_container_volumes(connection, spec)

                with self._volumes.creating_container(spec):
                    created = await driver.create_container(
                        spec, start=start, announce=announced, judge=judge
                    )
                resource = await self._publish(connection, created.resource)
        return replace(created, resource=resource)

    async def _with_secrets(self, spec: ContainerSpec, ref: str) -> ContainerSpec:
        if not ref:
            raise InvalidArgumentError.of(
                "secrets_from",
                f"is required: {', '.join(redacted(spec))} of spec.env_secret has no value; give "
                "values, or name the container that has them",
            )
        source = await self._resolver.find(ref)
        entry = self._inventory.entry(source.connection, source.resource.id)
        if entry is None:
            raise ResourceNotFoundError(ref)
        # Who may not make a container may not have its secrets either.
        await self._gate.check_entry(source.connection, entry, Verb.RECREATE)
        return await with_secrets(spec, source)

    @shielded
    async def create_domain(self, spec: DomainSpec, *, start: bool, host: str) -> Resource:
        """Create a domain on a host."""
        connection, driver = self._hosts.offering(Domains, host)
        spec = self._gate.admit_domain(spec)
        tell_plan(Plan.of_domain(spec))
        if isinstance(driver, Volumes):
            shared = self._gate.shared_volumes()
            with noting():
                await self._volumes.require(
                    connection, driver, read_volumes(spec), written_volumes(spec), shared=shared
                )
            with noting():
                await self._volumes.require_media(connection, driver, spec, shared)
        async with self._creating(
            connection,
            Action.CREATE_DOMAIN,
            deletion_protection=spec.deletion_protection,
            charge=Charge(cpus=spec.vcpus, memory_bytes=spec.memory_bytes),
            start=start,
        ) as begin:
            created = await driver.create_domain(
                spec, start=start, announce=begin, judge=self._gate.xml_judge(driver)
            )
            return await self._publish(connection, created)

    @shielded
    async def create_domain_from_xml(
        self, source: DomainXml, *, start: bool, host: str
    ) -> Resource:
        """Create a domain on a host from XML."""
        connection, driver = self._hosts.offering(Domains, host)
        source = await self._gate.admit_xml(connection, driver, source)
        # Before the driver looks at what the disks are on, and tells of it.
        sources, read = await _disks_of(source)
        await self._volumes.require_sources(
            connection, sources, read=read, shared=self._gate.shared_volumes()
        )
        tell_plan(Plan.of_domain())
        async with self._creating(
            connection,
            Action.CREATE_DOMAIN,
            deletion_protection=source.deletion_protection,
            charge=None,
            start=start,
        ) as begin:
            created = await driver.create_domain_from_xml(
                source, start=start, announce=begin, judge=self._gate.xml_judge(driver)
            )
            return await self._publish(connection, created)

    async def domain_xml(self, ref: str, *, inactive: bool) -> str:
        """Return a domain as XML."""
        resolved = await self._resolver.find(ref)
        driver = require(resolved.driver, Domains)
        return await resolved.connection.read(
            lambda: driver.get_domain_xml(resolved.resource.id, inactive=inactive)
        )

    @asynccontextmanager
    async def _creating(
        self,
        connection: EngineConnection,
        action: Action,
        *,
        deletion_protection: bool,
        charge: Charge | None,
        start: bool,
    ) -> AsyncIterator[AnnounceFootprint]:
        """Announce a create, and attribute and record what the create makes as the caller's.

        Args:
            connection: the engine.
            action: the create.
            deletion_protection: whether deletes of the resource are to be refused.
            charge: what the resource counts for; None: only the driver tells that.
            start: whether it is started.
        """
        async with self._inventory.recorder.creating(
            connection, deletion_protection=deletion_protection
        ) as expect:
            with ExitStack() as creating:

                async def begin(footprint: Footprint) -> None:
                    await self._volumes.require_sources(
                        connection,
                        footprint.sources,
                        read=footprint.read_sources,
                        shared=self._gate.shared_volumes(),
                    )
                    await self._quotas.ready()
                    counts = charge or charge_of_domain(footprint)
                    creating.enter_context(
                        self._quotas.creating(
                            marks={footprint.mark},
                            charge=counts,
                            start=footprint.start,
                            volumes=footprint.volumes,
                        )
                    )
                    await announce(replace(connection.intent(action), footprint=footprint))
                    creating.enter_context(self._volumes.creating(footprint.volumes))
                    await self._volumes.plan(connection, footprint.volumes, domain=footprint.mark)
                    await expect(footprint.mark, counts)

                await witnessed()  # the driver is called before it announces
                try:
                    with connection.call():
                        yield begin
                except ProaError as error:
                    if charge is not None and is_only_checked():
                        refuse(error)  # the quota is what the driver did not come to
                        with self._quotas.creating(charge=charge, start=start):
                            pass
                    raise

    async def _publish(self, connection: EngineConnection, created: Resource) -> Resource:
        """Bring a new resource into the inventory, and return its FULL view completed."""
        await self._inventory.refresh_changed(connection, created.id)
        return self._inventory.complete(connection, created)


async def _disks_of(source: DomainXml) -> tuple[Collection[str], Collection[str]]:
    """Return what the disks in XML are on, and what of it is only read."""

    def found() -> tuple[Collection[str], Collection[str]]:
        root = parse_domain(source.xml).root
        return tuple(sources_of(root)), frozenset(read_sources_of(root))

    return await asyncio.to_thread(found)
