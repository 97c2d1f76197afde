"""The verbs: from a caller's reference to a resource that has changed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import require
from proad.core.inventory import Inventory
from proad.core.ports import OnStep, Updates
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.verbs import Verbs
from proad.errors import CapabilityMissingError, InvalidArgumentError, ResourceNotFoundError
from proad.model import (
    DeleteOptions,
    Resource,
    ResourceUpdate,
    ResourceView,
    RestartMode,
    RestartOptions,
    StartOptions,
    StopMode,
    StopOptions,
    Updated,
    Verb,
)

Action = Callable[[EngineConnection, Resource, OnStep], Awaitable[Resource]]


class Lifecycle:
    """Takes resources through their lives.

    Each verb finds its resource, waits for its turn on it, refuses what is illegal in
    the present state before the engine is asked, and gives the resource as it is
    afterwards. Errors of finding are those of `Resolver.find`.
    """

    def __init__(self, resolver: Resolver, verbs: Verbs, inventory: Inventory) -> None:
        self._resolver = resolver
        self._verbs = verbs
        self._inventory = inventory

    async def get(self, ref: str, view: ResourceView) -> Resource:
        """Give one resource."""
        if view is ResourceView.SUMMARY:
            return (await self._resolver.find(ref)).resource
        return await self._resolver.use(
            ref, lambda found: self._inventory.full(found.connection, found.resource.id)
        )

    async def start(self, ref: str, options: StartOptions) -> Resource:
        """Start a resource."""
        return await self._do(
            Verb.START, ref, lambda connection, it, _: connection.driver.start(it.id, options)
        )

    async def stop(self, ref: str, options: StopOptions) -> Resource:
        """Stop a resource. FORCE does not wait for a graceful stop that is under way."""

        def stop(found: ResolvedResource) -> Awaitable[Resource]:
            driver = found.connection.driver
            if options.mode is not None and options.mode not in driver.stop_modes:
                raise CapabilityMissingError(
                    f"stop mode {options.mode}",
                    driver=driver.name,
                    hint=f"use mode {', '.join(sorted(driver.stop_modes))}",
                )
            return self._verbs.transition(
                Verb.STOP,
                found,
                lambda it, on_step: driver.stop(it.id, options, on_step=on_step),
                force=options.mode is StopMode.FORCE,
            )

        return await self._resolver.use(ref, stop)

    async def restart(self, ref: str, options: RestartOptions) -> Resource:
        """Restart a resource."""
        return await self._do(
            Verb.RESTART,
            ref,
            lambda connection, it, on_step: connection.driver.restart(
                it.id, options, on_step=on_step
            ),
            force=options.mode is RestartMode.FORCE,
        )

    async def pause(self, ref: str) -> Resource:
        """Freeze a resource in memory."""
        return await self._do(
            Verb.PAUSE,
            ref,
            lambda connection, it, _: connection.driver.pause(
                it.id, before=self._if_settled(connection, it)
            ),
        )

    async def resume(self, ref: str) -> Resource:
        """Let a paused or suspended resource go on."""
        return await self._do(
            Verb.RESUME,
            ref,
            lambda connection, it, _: connection.driver.resume(
                it.id, before=self._if_settled(connection, it)
            ),
        )

    async def delete(
        self, ref: str, options: DeleteOptions, *, allow_missing: bool = False, etag: str = ""
    ) -> Resource | None:
        """Delete a resource and give it as it last was; None if it was missing.

        With an `etag`, only if the resource still has that one.
        """

        def delete(found: ResolvedResource) -> Awaitable[Resource]:
            return self._verbs.delete(
                found,
                lambda id, _: found.connection.driver.delete(id, options),
                force=options.force,
                etag=etag,
            )

        try:
            return await self._resolver.use(ref, delete)
        except ResourceNotFoundError:
            if not allow_missing:
                raise
            return None

    async def update(
        self,
        ref: str,
        update: ResourceUpdate,
        *,
        etag: str = "",
        view: ResourceView = ResourceView.FULL,
    ) -> Updated:
        """Change what can be changed of a resource, and give it in a view.

        With an `etag`, only if the resource still has that one.

        Raises:
            InvalidArgumentError: nothing is to be changed; to look is another call.
        """
        if update.is_empty:
            raise InvalidArgumentError.of(
                "",
                "nothing to update: set name, labels, container or domain; "
                "GetResource shows what a resource is",
            )

        async def change(found: ResolvedResource) -> Updated:
            driver = require(found.connection.driver, Updates)
            updated = await self._verbs.do(
                Verb.UPDATE, found, lambda id, _: driver.update(id, update), etag=etag
            )
            if view is ResourceView.FULL:
                resource = self._inventory.complete(found.connection, updated.resource)
            else:
                entry = self._inventory.entry(found.connection, updated.resource.id)
                resource = entry.published if entry is not None else found.resource
            return replace(updated, resource=resource)

        return await self._resolver.use(ref, change)

    async def _do(self, verb: Verb, ref: str, action: Action, *, force: bool = False) -> Resource:
        def act(found: ResolvedResource) -> Awaitable[Resource]:
            return self._verbs.transition(
                verb, found, lambda it, on_step: action(found.connection, it, on_step), force=force
            )

        return await self._resolver.use(ref, act)

    def _if_settled(self, connection: EngineConnection, it: Resource) -> Resource | None:
        """Give what is known of a resource, unless the engine hints at more."""
        return it if self._inventory.refresher(connection).settled(it.id) else None
