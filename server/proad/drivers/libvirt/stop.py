"""Stop and restart of domains: gracefully, and by force only where that was ordered."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import libvirt
import structlog

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.errors import ENGINE, REFUSED
from proad.drivers.libvirt.events import DomainEvents
from proad.drivers.libvirt.graceful_shutdown import (
    GracefulShutdown,
    GuestRequest,
    RebootRequest,
    ShutdownRequest,
    Target,
)
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.storage import Storage
from proad.drivers.libvirt.timing import ShutdownTiming
from proad.drivers.libvirt.transitions import perform
from proad.drivers.libvirt.xml.domain_view import agent_connected
from proad.errors import (
    CapabilityMissingError,
    DatabaseUnreachableError,
    EngineTimedOutError,
    EngineUnreachableError,
    NotFoundError,
    ProaError,
    ResourceNotFoundError,
    ResourceNotRunningError,
    StateError,
)
from proad.model import (
    Lifetime,
    Resource,
    ResourceState,
    RestartMode,
    RestartOptions,
    StateDetail,
    StateReason,
    StopMode,
    StopOptions,
    Verb,
    refusal,
)
from proad.ports import OnStep

BY_FORCE = "ending it by force"

_log = structlog.get_logger(__name__)


class DomainStopper:
    """Stops and restarts domains.

    Args:
        connection: to libvirt.
        events: events of domains.
        reader: reads domains.
        storage: deletes the volumes of transient domains.
        catalog: knows which volumes go with a domain.
        timing: durations of requests, checks and reports.
    """

    def __init__(
        self,
        connection: Connection,
        events: DomainEvents,
        reader: DomainReader,
        storage: Storage,
        catalog: VolumeCatalog,
        timing: ShutdownTiming,
    ) -> None:
        self._connection = connection
        self._timing = timing
        self._graceful_shutdown = GracefulShutdown(connection, events, timing)
        self._reader = reader
        self._storage = storage
        self._catalog = catalog

    async def stop(self, id: str, options: StopOptions, on_step: OnStep) -> Resource:
        """Stop a domain; see `ports.Driver.stop`."""
        mode = options.mode or StopMode.GRACEFUL
        if mode is StopMode.FORCE:
            target = await self._look(id, Verb.STOP, Bulkhead.URGENT)
            return await self._end(target, on_step)
        target = await self._look(id, Verb.STOP, Bulkhead.READ)
        if mode is StopMode.SAVE:
            if target.resource.lifetime is Lifetime.TRANSIENT:
                raise CapabilityMissingError(
                    "saving a TRANSIENT domain",
                    driver=ENGINE,
                    hint="it is gone once it stops; PauseResource keeps its memory",
                )
            await self._save(id, on_step)
            return await self._stopped(target, StateReason.COMPLETED, Bulkhead.WORK)
        request, grace = ShutdownRequest(target), self._grace(options.grace_period)
        if mode is StopMode.GRACEFUL:
            await self._graceful_shutdown.run(target, request, grace, on_step)
        elif not await self._follows(target, request, grace, on_step):
            return await self._end(target, on_step)
        return await self._stopped(target, StateReason.COMPLETED, Bulkhead.WORK)

    async def restart(self, id: str, options: RestartOptions, on_step: OnStep) -> Resource:
        """Restart a domain; see `ports.Driver.restart`."""
        mode = options.mode or RestartMode.GRACEFUL
        if mode is RestartMode.FORCE:
            await self._reset(id, on_step)
        else:
            target = await self._look(id, Verb.RESTART, Bulkhead.READ)
            request, grace = RebootRequest(target, self._reader), self._grace(options.grace_period)
            if mode is RestartMode.GRACEFUL:
                await self._graceful_shutdown.run(target, request, grace, on_step)
            elif not await self._follows(target, request, grace, on_step):
                await self._reset(id, on_step)
        return await self._connection.on(id, self._reader.refreshed_summary, bulkhead=Bulkhead.READ)

    async def _follows(
        self, target: Target, request: GuestRequest, grace: timedelta, on_step: OnStep
    ) -> bool:
        """Return whether the guest follows a request within the grace period.

        A request that fails or takes longer counts as one that is not followed: a QEMU that hangs
        keeps libvirt from reporting so.
        """
        try:
            async with asyncio.timeout((grace + self._timing.min_call_timeout).total_seconds()):
                await self._graceful_shutdown.run(target, request, grace, on_step)
        except (StateError, NotFoundError, EngineUnreachableError):
            raise  # nothing is left to kill, or no engine to do it
        except (ProaError, TimeoutError):
            return False
        return True

    async def _look(self, id: str, verb: Verb, bulkhead: Bulkhead) -> Target:
        def look(domain: libvirt.virDomain) -> Target:
            # Makes no call to QEMU, which may be what hangs.
            resource = self._reader.refreshed_summary(domain)
            if error := refusal(verb, resource):
                raise error
            root = self._reader.xml_of(domain).element
            return Target(
                resource=resource,
                runtime_id=domain.ID(),
                agent=agent_connected(root),
                test=is_test(domain.connect()),
                restarts_on_poweroff=root is not None and root.findtext("on_poweroff") == "restart",
            )

        return await self._connection.on(id, look, bulkhead=bulkhead)

    def _grace(self, period: timedelta | None) -> timedelta:
        return self._timing.default_grace if period is None else period

    async def _save(self, id: str, on_step: OnStep) -> None:
        on_step("saving memory", None)
        save = self._do(
            id,
            Verb.STOP,
            lambda domain: domain.managedSave(),
            self._connection.timing.long_call_timeout,
        )
        saving = asyncio.ensure_future(save)
        try:
            while not (
                await asyncio.wait([saving], timeout=self._timing.progress_interval.total_seconds())
            )[0]:
                with suppress(ProaError):  # the save has ended, or QEMU is busy
                    percent = await self._connection.on(
                        id,
                        _progress,
                        bulkhead=Bulkhead.SAMPLE,
                        timeout=self._timing.progress_timeout,
                    )
                    on_step("saving memory", percent)
            await saving
        finally:
            saving.cancel()

    async def _end(self, target: Target, on_step: OnStep) -> Resource:
        on_step(BY_FORCE, None)
        try:
            await self._do(
                target.resource.id,
                Verb.STOP,
                lambda domain: domain.destroy(),
                bulkhead=Bulkhead.URGENT,
            )
        except (ResourceNotRunningError, ResourceNotFoundError):
            # The domain has ended by itself a moment ago, as requested.
            return await self._stopped(target, StateReason.COMPLETED, Bulkhead.URGENT)
        return await self._stopped(target, StateReason.KILLED, Bulkhead.URGENT)

    async def _reset(self, id: str, on_step: OnStep) -> None:
        on_step(BY_FORCE, None)
        try:
            await self._do(
                id,
                Verb.RESTART,
                lambda domain: domain.reset(),
                self._timing.reset_timeout,
                Bulkhead.URGENT,
            )
        except (*REFUSED, EngineTimedOutError):
            # A QEMU that hangs does not reset: kill it, and start another one.
            await self._do(
                id,
                Verb.RESTART,
                _start_anew,
                self._connection.timing.long_call_timeout,
                Bulkhead.URGENT,
            )

    async def _do(
        self,
        id: str,
        verb: Verb,
        act: Callable[[libvirt.virDomain], object],
        timeout: timedelta | None = None,  # noqa: ASYNC109 - handed on
        bulkhead: Bulkhead = Bulkhead.WORK,
    ) -> None:
        def do(domain: libvirt.virDomain) -> None:
            perform(self._reader, domain, verb, lambda domain, _: act(domain))

        await self._connection.on(id, do, timeout=timeout, bulkhead=bulkhead)

    async def _stopped(self, target: Target, reason: StateReason, bulkhead: Bulkhead) -> Resource:
        """Return a domain that has stopped; a transient one, which is gone, as it last was.

        Delete the volumes that Proa created for a transient domain. When its guest ends by itself
        instead, they stay as ordinary volumes, which DeleteVolume accepts.
        """
        id = target.resource.id

        def read(connection: libvirt.virConnect) -> Resource | None:
            try:
                return self._reader.refreshed_summary(lookup(connection, id))
            except ResourceNotFoundError:
                if target.resource.lifetime is not Lifetime.TRANSIENT:
                    raise
            try:
                owned = self._catalog.made_for(connection, id)
            except DatabaseUnreachableError:  # its volumes become ordinary ones
                _log.warning("libvirt.left_behind", what=f"volumes of domain {id}")
            else:
                self._storage.deleter.delete_owned(connection, owned, owner=id, strict=False)
            return None

        now = await self._connection.call(read, id=id, bulkhead=bulkhead)
        if now is not None:
            return now
        return replace(
            target.resource,
            state=ResourceState.STOPPED,
            state_detail=StateDetail(reason=reason),
        )


def _start_anew(domain: libvirt.virDomain) -> None:
    if not domain.isPersistent():
        raise CapabilityMissingError(
            "a restart of a TRANSIENT domain whose QEMU does not answer, and which is gone "
            "once that is ended",
            driver=ENGINE,
            hint="stop it with mode FORCE, and create it anew",
        )
    try:
        domain.destroy()
    except libvirt.libvirtError:
        if domain.isActive():  # or its QEMU has died meanwhile
            raise
    domain.create()


def _progress(domain: libvirt.virDomain) -> int | None:
    """Return the progress of a job in percent; None if unknown."""
    job = domain.jobStats()
    total = job.get("data_total", 0)
    return 100 * (total - job.get("data_remaining", 0)) // total if total else None
