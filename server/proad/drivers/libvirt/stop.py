"""Stopping and restarting: politely, and by force only where that was ordered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import libvirt

from proad.drivers.libvirt.connection import LONG_TIMEOUT, Connection, Lane
from proad.drivers.libvirt.domain_view import agent_connected
from proad.drivers.libvirt.events import DomainEvents
from proad.drivers.libvirt.ladder import Found, Ladder, Reboot, Shutdown
from proad.drivers.libvirt.metadata import Metadata, in_domain
from proad.drivers.libvirt.reading import Reader, lookup
from proad.drivers.libvirt.storage import Storage
from proad.drivers.libvirt.verbs import is_test, perform
from proad.drivers.libvirt.xml import parse
from proad.errors import ResourceNotFoundError, ResourceNotRunningError, StopTimedOutError
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

DEFAULT_GRACE = timedelta(seconds=60)


class Stopping:
    """Stops and restarts domains.

    Args:
        connection: to libvirt.
        events: what happens to domains.
        reader: makes resources.
        storage: where the volumes of a transient domain are deleted.
    """

    def __init__(
        self, connection: Connection, events: DomainEvents, reader: Reader, storage: Storage
    ) -> None:
        self._connection = connection
        self._ladder = Ladder(connection, events)
        self._reader = reader
        self._storage = storage

    async def stop(self, id: str, options: StopOptions) -> Resource:
        """Stop a domain; `ports.Driver.stop` says more."""
        mode = options.mode or StopMode.GRACEFUL
        if mode is StopMode.FORCE:
            return await self.end(id)
        found = await self._look(id, Verb.STOP, Lane.WORK)
        if mode is StopMode.SAVE:
            await self._do(id, Verb.STOP, lambda domain: domain.managedSave(), LONG_TIMEOUT)
            return await self._stopped(found, StateReason.COMPLETED, Lane.WORK)
        try:
            await self._ladder.climb(found, Shutdown(found), _grace(options.grace_period))
        except StopTimedOutError:
            if mode is StopMode.GRACEFUL:
                raise
            return await self._end(found)
        return await self._stopped(found, StateReason.COMPLETED, Lane.WORK)

    async def end(self, id: str) -> Resource:
        """Stop a domain by force, whatever else hangs or waits."""
        found = await self._look(id, Verb.STOP, Lane.URGENT)
        return await self._end(found)

    async def restart(self, id: str, options: RestartOptions) -> Resource:
        """Restart a domain; `ports.Driver.restart` says more."""
        mode = options.mode or RestartMode.GRACEFUL
        if mode is RestartMode.FORCE:
            await self._reset(id)
        else:
            found = await self._look(id, Verb.RESTART, Lane.WORK)
            order = Reboot(found, self._reader)
            try:
                await self._ladder.climb(found, order, _grace(options.grace_period))
            except StopTimedOutError:
                if mode is RestartMode.GRACEFUL:
                    raise
                await self._reset(id)
        return await self._connection.call(lambda c: self._reader.full(lookup(c, id)), id=id)

    async def _look(self, id: str, verb: Verb, lane: Lane) -> Found:
        def look(connection: libvirt.virConnect) -> Found:
            domain = lookup(connection, id)
            # Only what libvirt knows by itself: the guest may be what hangs.
            resource = self._reader.full(domain, ask_guest=False)
            if error := refusal(verb, resource):
                raise error
            root = parse(domain.XMLDesc())
            return Found(
                resource=resource,
                runtime_id=domain.ID(),
                agent=agent_connected(root),
                test=is_test(domain),
                volumes=Metadata.of(in_domain(root)).volumes,
            )

        return await self._connection.call(look, id=id, lane=lane)

    async def _end(self, found: Found) -> Resource:
        try:
            await self._do(
                found.resource.id, Verb.STOP, lambda domain: domain.destroy(), lane=Lane.URGENT
            )
        except (ResourceNotRunningError, ResourceNotFoundError):
            # It ended a moment before by itself, which is what was wanted.
            return await self._stopped(found, StateReason.COMPLETED, Lane.URGENT)
        return await self._stopped(found, StateReason.KILLED, Lane.URGENT)

    async def _reset(self, id: str) -> None:
        await self._do(id, Verb.RESTART, lambda domain: domain.reset(), lane=Lane.URGENT)

    async def _do(
        self,
        id: str,
        verb: Verb,
        act: Callable[[libvirt.virDomain], object],
        timeout: timedelta = DEFAULT_GRACE,  # noqa: ASYNC109 - handed on
        lane: Lane = Lane.WORK,
    ) -> None:
        def do(connection: libvirt.virConnect) -> None:
            perform(self._reader, lookup(connection, id), verb, lambda domain, _: act(domain))

        await self._connection.call(do, id=id, timeout=timeout, lane=lane)

    async def _stopped(self, found: Found, reason: StateReason, lane: Lane) -> Resource:
        """Give a domain that has stopped; one that is gone by that as it last was.

        The volumes that Proa made for a transient domain go with it. When its guest
        ends by itself, libvirt forgets what was noted on it before anybody can look:
        such volumes stay, as ordinary ones that DeleteVolume takes.
        """
        id = found.resource.id

        def read(connection: libvirt.virConnect) -> Resource | None:
            try:
                return self._reader.full(lookup(connection, id))
            except ResourceNotFoundError:
                if found.resource.lifetime is not Lifetime.TRANSIENT:
                    raise
            self._storage.delete_owned(connection, found.volumes, owner=id)
            return None

        now = await self._connection.call(read, id=id, lane=lane)
        if now is not None:
            return now
        domain = found.resource.domain
        return replace(
            found.resource,
            state=ResourceState.STOPPED,
            state_detail=StateDetail(reason=reason),
            domain=None if domain is None else replace(domain, runtime_id=0),
        )


def _grace(period: timedelta | None) -> timedelta:
    return DEFAULT_GRACE if period is None else period
