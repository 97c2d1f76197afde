"""The verbs on existing resources: from what a caller wrote to a resource that has changed."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from proad.core.charges import AfterRevert, charge_after
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import require
from proad.core.inventory import Entry, Inventory
from proad.core.quotas import Quotas
from proad.core.requests import is_only_checked, tell_plan
from proad.core.resolver import Resolver
from proad.core.verb_runner import VerbRunner, verb_method
from proad.core.view_supplements import ViewSupplements
from proad.errors import CapabilityMissingError, InvalidArgumentError, ResourceNotFoundError
from proad.model import (
    ChangeEffect,
    DeleteOptions,
    Lifetime,
    Plan,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceUpdate,
    ResourceView,
    RestartMode,
    RestartOptions,
    StartOptions,
    StopMode,
    StopOptions,
    Updated,
    UpdatePlan,
    Verb,
)
from proad.ports import Updates

RECORDED: Mapping[ResourceKind, frozenset[str]] = {
    ResourceKind.CONTAINER: frozenset({"deletion_protection", "labels"}),
    ResourceKind.DOMAIN: frozenset({"deletion_protection"}),
}
"""The paths of a specification that the daemon keeps, and no engine."""


class Lifecycle:
    """Takes resources through their lives.

    Each verb returns the resource as it is afterwards. `ref` is what the caller wrote for the
    resource; errors are those of `Resolver.find`, of `VerbRunner.run` and of the port.
    """

    def __init__(
        self,
        resolver: Resolver,
        verbs: VerbRunner,
        inventory: Inventory,
        gate: PolicyGate,
        quotas: Quotas,
        supplements: ViewSupplements,
    ) -> None:
        self._resolver = resolver
        self._verbs = verbs
        self._inventory = inventory
        self._gate = gate
        self._quotas = quotas
        self._supplements = supplements

    async def get(self, ref: str, view: ResourceView) -> Resource:
        """Return one resource."""
        resolved = await self._resolver.find(ref)
        if view is ResourceView.SUMMARY:
            return resolved.resource
        try:
            full = await self._inventory.full(resolved.connection, resolved.resource.id)
        except ResourceNotFoundError:
            successor = await self._resolver.find_successor(resolved)
            if successor is None:
                raise
            resolved = successor
            full = await self._inventory.full(resolved.connection, resolved.resource.id)
        return await self._supplements.complete(resolved.connection, full)

    @verb_method
    async def start(self, ref: str, options: StartOptions) -> Resource:
        """Start a resource."""
        resolved = await self._resolver.find(ref)
        after = AfterRevert(resolved, options.from_snapshot)

        def reserve(entry: Entry) -> AbstractContextManager[None]:
            return self._quotas.changing(entry, runs=True, after=after.charge)

        async with (
            self._verbs.run(
                resolved,
                Verb.START,
                name=options.from_snapshot,
                reserve=reserve,
                prepare=after.read,
            ) as run,
            self._inventory.recorder.changing(run.connection, run.entry, after.changes),
        ):
            run.observed = await run.driver.start(run.id, options)
        return run.resource

    @verb_method
    async def stop(self, ref: str, options: StopOptions) -> Resource:
        """Stop a resource. FORCE does not wait for a graceful stop that is under way."""
        resolved = await self._resolver.find(ref)
        modes = resolved.driver.stop_modes
        if options.mode is not None and options.mode not in modes:
            raise CapabilityMissingError(
                f"stop mode {options.mode}",
                driver=resolved.driver.name,
                hint=f"use mode {', '.join(sorted(modes))}",
            )
        force = options.mode is StopMode.FORCE
        wanted = ResourceState.SAVED if options.mode is StopMode.SAVE else None
        async with self._verbs.run(
            resolved, Verb.STOP, force=force, wanted=wanted, waits=not force and wanted is None
        ) as run:
            run.observed = await run.driver.stop(run.id, options, on_step=run.on_step)
        return run.resource

    @verb_method
    async def restart(self, ref: str, options: RestartOptions) -> Resource:
        """Restart a resource. FORCE does not wait for a graceful verb that is under way."""
        resolved = await self._resolver.find(ref)
        force = options.mode is RestartMode.FORCE
        # The engine itself restarts a container that it may kill, and cannot be told to leave off.
        domain = resolved.resource.kind is ResourceKind.DOMAIN
        waits = options.mode is RestartMode.GRACEFUL or (domain and not force)
        running = partial(self._quotas.changing, runs=True)
        async with self._verbs.run(
            resolved, Verb.RESTART, force=force, waits=waits, reserve=running
        ) as run:
            run.observed = await run.driver.restart(run.id, options, on_step=run.on_step)
        return run.resource

    @verb_method
    async def pause(self, ref: str) -> Resource:
        """Freeze a resource in memory."""
        async with self._verbs.run(await self._resolver.find(ref), Verb.PAUSE) as run:
            run.observed = await run.driver.pause(run.id)
        return run.resource

    @verb_method
    async def resume(self, ref: str) -> Resource:
        """Resume a paused resource; wake one that is suspended."""
        async with self._verbs.run(await self._resolver.find(ref), Verb.RESUME) as run:
            run.observed = await run.driver.resume(run.id)
        return run.resource

    async def delete(
        self, ref: str, options: DeleteOptions, *, allow_missing: bool = False, etag: str = ""
    ) -> Resource | None:
        """Delete a resource and return it as it last was; None if it was missing.

        Args:
            ref: the resource.
            options: what goes with it.
            allow_missing: whether a resource that is not there is no error.
            etag: the etag that the resource must still have; empty: any.
        """
        try:
            return await self._delete(ref, options, etag)
        except ResourceNotFoundError:
            if not allow_missing:
                raise
            return None

    @verb_method
    async def _delete(self, ref: str, options: DeleteOptions, etag: str) -> Resource:
        resolved = await self._resolver.find(ref)
        async with self._verbs.run(
            resolved, Verb.DELETE, force=options.force, etag=etag, checked_by_driver=True
        ) as run:
            run.observed = await run.driver.delete(run.id, options, begin=run.begin)
        return run.resource

    @verb_method
    async def update(
        self,
        ref: str,
        update: ResourceUpdate,
        *,
        etag: str = "",
        view: ResourceView = ResourceView.FULL,
    ) -> Updated:
        """Change what can be changed of a resource.

        Args:
            ref: the resource.
            update: the changes.
            etag: the etag that the resource must still have; empty: any.
            view: the view of the resource that is returned.

        Raises:
            InvalidArgumentError: `update` changes nothing; to read is another call.
            PolicyDeniedError: the caller's profile denies the new values.
        """
        if not update.paths:
            raise InvalidArgumentError.of(
                "update_mask",
                "nothing to update: name the fields that change; "
                "GetResource shows what a resource is",
            )
        resolved = await self._resolver.find(ref)
        driver = require(resolved.driver, Updates)
        update = await self._gate.admit_update(resolved.connection, update)
        changed = update.digests()

        planned: list[UpdatePlan] = []

        async def prepare(entry: Entry) -> None:
            planned.append(await self._plan(resolved.connection, driver, entry, update))

        @contextmanager
        def reserve(entry: Entry) -> Iterator[None]:
            with self._quotas.changing(entry, after=charge_after(entry, update)):
                if not is_only_checked():
                    planned[0].check()  # last: it is the error only if nothing else is wrong
                yield

        async with self._verbs.run(
            resolved,
            Verb.UPDATE,
            etag=etag,
            changes=changed,
            reserve=reserve,
            prepare=prepare,
        ) as run:
            recorded = RECORDED[run.entry.observed.kind] & update.paths
            changes = {path: getattr(update.spec, path) for path in recorded}
            charge = charge_after(run.entry, update)
            if charge is not None:
                changes["charge"] = charge
            async with self._inventory.recorder.changing(run.connection, run.entry, changes):
                rest = replace(update, paths=update.paths - recorded)
                updated = await driver.update(run.id, rest)
            run.detail = updated.resource
        if view is ResourceView.SUMMARY:
            return replace(updated, resource=run.resource)
        return replace(updated, resource=self._inventory.complete(run.connection, updated.resource))

    async def _plan(
        self, connection: EngineConnection, driver: Updates, entry: Entry, update: ResourceUpdate
    ) -> UpdatePlan:
        """Tell and return what the driver's part of an update would do."""
        observed = entry.observed
        update.check_kind(observed.kind)
        recorded = RECORDED[observed.kind] & update.paths
        rest = replace(update, paths=update.paths - recorded)
        if recorded:
            await self._check_recorded(connection, entry, update)
        plan = await connection.read(lambda: driver.plan_update(observed.id, rest))
        tell_plan(Plan.of_update({**plan.effects, **dict.fromkeys(recorded, ChangeEffect.LIVE)}))
        return plan

    async def _check_recorded(
        self, connection: EngineConnection, entry: Entry, update: ResourceUpdate
    ) -> None:
        """Check the changes of what is recorded of a resource.

        Raises:
            InvalidArgumentError: a TRANSIENT resource would be protected.
        """
        observed = entry.observed
        if "deletion_protection" not in update.paths or not update.spec.deletion_protection:
            return
        lifetime = observed.lifetime
        if lifetime is None:  # the SUMMARY does not tell
            full = await self._inventory.full(connection, observed.id)
            lifetime = full.lifetime
        if lifetime is Lifetime.TRANSIENT:
            raise InvalidArgumentError.of(
                f"{observed.kind.lower()}.deletion_protection",
                "a TRANSIENT resource cannot have it: it goes by itself when it stops",
            )
