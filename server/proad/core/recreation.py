"""Making a container again, with changes, in its own place."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import fields, replace

from proad.core.charges import charge_of
from proad.core.env_secrets import redacted, with_secrets
from proad.core.gate import PolicyGate
from proad.core.hosts import require
from proad.core.image_judge import image_judge
from proad.core.image_ledger import ImageLedger
from proad.core.inventory import Inventory
from proad.core.quotas import Quotas
from proad.core.requests import announce, noting, tell_plan
from proad.core.resolver import Resolver
from proad.core.verb_runner import VerbRunner, verb_method
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import (
    CapabilityMissingError,
    InvalidArgumentError,
    ResourceNotFoundError,
    SpecIncompleteError,
)
from proad.model import (
    ContainerSpec,
    CreatedContainer,
    Footprint,
    Plan,
    Resource,
    ResourceKind,
    ResourceUpdate,
    Verb,
    merged,
    value_digest,
)
from proad.model.update import LIMIT_PATHS, LIMITS
from proad.ports import Recreation


class Recreator:
    """Recreates containers: the name, the owner, the labels and the volumes stay.

    Args:
        resolver: finds the container.
        verbs: runs the recreation as a verb on the old container.
        inventory: the inventory.
        gate: judges what is made.
        volumes: records whose the volumes are.
        ledger: knows whose images are.
    """

    def __init__(
        self,
        resolver: Resolver,
        verbs: VerbRunner,
        inventory: Inventory,
        gate: PolicyGate,
        volumes: VolumeTenancy,
        quotas: Quotas,
        ledger: ImageLedger,
    ) -> None:
        self._resolver = resolver
        self._verbs = verbs
        self._inventory = inventory
        self._gate = gate
        self._volumes = volumes
        self._quotas = quotas
        self._ledger = ledger

    @verb_method
    async def recreate(self, ref: str, update: ResourceUpdate, *, etag: str) -> CreatedContainer:
        """Put a container with the changes of `update` in place of one, and return the new one.

        Raises:
            CapabilityMissingError: it is a domain.
            SpecIncompleteError: the specification does not tell all of the container.
            InvalidArgumentError: the changed specification contradicts itself.
            PolicyDeniedError: the caller's profile denies the container, or the one before.
        """
        resolved = await self._resolver.find(ref)
        driver = require(resolved.driver, Recreation)
        connection = resolved.connection
        if resolved.resource.kind is not ResourceKind.CONTAINER:
            raise CapabilityMissingError("recreation of a domain", driver=resolved.driver.name)
        async with self._verbs.run(resolved, Verb.RECREATE, etag=etag, announces=False) as run:
            old = await run.driver.get_resource(run.id)
            spec = _changed(old, update)
            with self._gate.claiming(spec):
                spec = await self._gate.admit_container(connection, spec, instead=run.id)
                judge = image_judge(connection, spec, gate=self._gate, ledger=self._ledger)
                tell_plan(Plan.of_recreation(_differing(old, spec)))
                with noting():
                    image = await self._ledger.resolve(connection, spec.image)
                    spec = replace(spec, image=image)
                if redacted(spec):
                    with noting():
                        spec = await with_secrets(spec, resolved)
                async with (
                    AsyncExitStack() as reserved,
                    self._inventory.recorder.creating(
                        connection,
                        deletion_protection=spec.deletion_protection,
                        instead_of=run.entry,
                        keeps_labels="labels" not in update.paths,
                    ) as expect,
                ):

                    async def begin(footprint: Footprint) -> None:
                        counts = charge_of(spec)
                        reserved.enter_context(
                            self._quotas.changing(
                                run.entry,
                                runs=footprint.start,
                                after=counts,
                                marks={footprint.mark},
                            )
                        )
                        await announce(replace(run.intent, footprint=footprint))
                        reserved.enter_context(self._volumes.creating_container(spec))
                        await self._volumes.plan_container_volumes(connection, spec)
                        await expect(footprint.mark, counts)

                    made = await driver.recreate_container(
                        run.id, spec, announce=begin, judge=judge, on_step=run.on_step
                    )
                    run.observed = run.entry.observed
                    self._inventory.remove(connection, run.id)
                    await self._inventory.refresh_changed(connection, made.resource.id)
        entry = self._inventory.entry(connection, made.resource.id)
        return replace(made, resource=entry.published if entry else made.resource)


def _changed(old: Resource, update: ResourceUpdate) -> ContainerSpec:
    """Return the specification of a container with changes."""
    container = old.container
    if container is None or container.spec is None:
        raise ResourceNotFoundError(old.name)
    if container.spec_omits:
        raise SpecIncompleteError(old.name, container.spec_omits)
    spec = merged(container.spec, update)
    try:
        spec.check_together()
    except ValueError as error:
        raise InvalidArgumentError.of("spec", str(error)) from None
    return spec


def _differing(old: Resource, spec: ContainerSpec) -> Iterator[str]:
    """Return the paths whose values are others in the specification of the new container.

    It has been admitted: where a change says nothing, a profile may have filled in what there was.
    """
    have = old.container.spec if old.container is not None else None
    if have is None:
        return
    names = {each.name for each in fields(ContainerSpec)} - {LIMITS}
    for path in names:
        if value_digest(have, path) != value_digest(spec, path):
            yield path
    for path in LIMIT_PATHS:
        name = path.partition(".")[2]
        # Without a limit is without a limit, whether that was said or not.
        before, after = getattr(have.resources, name), getattr(spec.resources, name)
        if (before or None) != (after or None):
            yield path
