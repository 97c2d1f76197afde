"""The verbs: from a caller's reference to a resource that has changed."""

from collections.abc import Awaitable, Callable

from proad.core.hosts import require
from proad.core.ports import Driver, Updates
from proad.core.resolve import Resolver
from proad.core.verbs import Verbs
from proad.errors import CapabilityMissingError, ResourceNotFoundError
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
    Verb,
    with_allowed_verbs,
)

Action = Callable[[Driver, str], Awaitable[Resource]]


class Lifecycle:
    """Takes resources through their lives.

    Each verb finds its resource, waits for its turn on it, refuses what is illegal in
    the present state before the engine is asked, and gives the resource as it is
    afterwards. Errors of finding are those of `Resolver.find`.
    """

    def __init__(self, resolver: Resolver, verbs: Verbs) -> None:
        self._resolver = resolver
        self._verbs = verbs

    async def get(self, ref: str, view: ResourceView) -> Resource:
        """Give one resource."""
        found = await self._resolver.find(ref)
        if view is ResourceView.SUMMARY:
            return found.resource
        driver = found.link.driver
        resource = await found.link.read(lambda: driver.get_resource(found.resource.id, view))
        return with_allowed_verbs(resource, found.link.host)

    async def start(self, ref: str, options: StartOptions) -> Resource:
        """Start a resource."""
        return await self._do(Verb.START, ref, lambda driver, id: driver.start(id, options))

    async def stop(self, ref: str, options: StopOptions) -> Resource:
        """Stop a resource. FORCE does not wait for a graceful stop that is under way."""

        def action(driver: Driver, id: str) -> Awaitable[Resource]:
            if options.mode is not None and options.mode not in driver.stop_modes:
                raise CapabilityMissingError(f"stop mode {options.mode}", driver=driver.name)
            return driver.stop(id, options)

        return await self._do(Verb.STOP, ref, action, force=options.mode is StopMode.FORCE)

    async def restart(self, ref: str, options: RestartOptions) -> Resource:
        """Restart a resource."""
        return await self._do(
            Verb.RESTART,
            ref,
            lambda driver, id: driver.restart(id, options),
            force=options.mode is RestartMode.FORCE,
        )

    async def pause(self, ref: str) -> Resource:
        """Freeze a resource in memory."""
        return await self._do(Verb.PAUSE, ref, lambda driver, id: driver.pause(id))

    async def resume(self, ref: str) -> Resource:
        """Let a paused or suspended resource go on."""
        return await self._do(Verb.RESUME, ref, lambda driver, id: driver.resume(id))

    async def delete(
        self, ref: str, options: DeleteOptions, *, allow_missing: bool = False
    ) -> Resource | None:
        """Delete a resource and give it as it last was; None if it was missing."""
        try:
            return await self._do(
                Verb.DELETE,
                ref,
                lambda driver, id: driver.delete(id, options),
                force=options.force,
            )
        except ResourceNotFoundError:
            if not allow_missing:
                raise
            return None

    async def update(self, ref: str, update: ResourceUpdate) -> Resource:
        """Change what can be changed of a resource."""
        return await self._do(
            Verb.UPDATE, ref, lambda driver, id: require(driver, Updates).update(id, update)
        )

    async def _do(self, verb: Verb, ref: str, action: Action, *, force: bool = False) -> Resource:
        found = await self._resolver.find(ref)
        driver = found.link.driver
        changed = await self._verbs.do(verb, found, lambda id: action(driver, id), force=force)
        return with_allowed_verbs(changed, found.link.host)
