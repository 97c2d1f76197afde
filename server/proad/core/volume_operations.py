"""Volumes in storage pools."""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from proad import ports
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.quotas import Quotas
from proad.core.requests import announce, is_only_checked, witnessed
from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.core.tenancy import current_visibility
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import DeletionProtectedError, InUseError
from proad.model import Action, Footprint, Volume, VolumeRef, VolumeSpec

# What a driver puts before the name of a domain among the users of a volume.
_DOMAIN = "domain "


class VolumeOperations:
    """Lists, creates and deletes volumes on the hosts; errors are those of the port."""

    def __init__(
        self,
        hosts: Hosts,
        tasks: ShieldedTasks,
        inventory: Inventory,
        gate: PolicyGate,
        tenancy: VolumeTenancy,
        quotas: Quotas,
    ) -> None:
        self._hosts = hosts
        self._tasks = tasks
        self._inventory = inventory
        self._gate = gate
        self._tenancy = tenancy
        self._quotas = quotas

    async def list(self, pool: str, *, host: str) -> list[Volume]:
        """Return the volumes of a host that the caller may see, by pool and name."""
        connection, driver = self._hosts.offering(ports.Volumes, host)
        listed = await connection.read(lambda: driver.list_volumes(pool))
        volumes = await self._tenancy.visible(connection, listed, self._gate.shared_volumes())
        volumes.sort(key=lambda volume: (volume.pool, volume.name))
        return [replace(volume, host=connection.ref.host) for volume in volumes]

    @shielded
    async def create(self, spec: VolumeSpec, *, host: str) -> Volume:
        """Create a volume on a host.

        Raises:
            PolicyDeniedError: the caller's profile denies it.
        """
        connection, driver = self._hosts.offering(ports.Volumes, host)
        self._gate.admit_volume(spec)
        base = [spec.base] if spec.base else []
        await self._tenancy.require(connection, driver, base, shared=self._gate.shared_volumes())
        intent = connection.intent(Action.CREATE_VOLUME, name=spec.name, pool=spec.pool)
        with ExitStack() as creating:

            async def begin(footprint: Footprint) -> None:
                await self._quotas.ready()
                creating.enter_context(
                    self._quotas.creating(volumes=footprint.volumes, resources=0)
                )
                await announce(replace(intent, footprint=footprint))
                creating.enter_context(self._tenancy.creating(footprint.volumes))
                await self._tenancy.plan(connection, footprint.volumes)

            await witnessed()
            with connection.call():
                volume = await driver.create_volume(spec, announce=begin)
        (volume,) = await self._tenancy.visible(connection, [volume])
        return replace(volume, host=connection.ref.host)

    @shielded
    async def delete(
        self, pool: str, name: str, *, host: str, ignore_unreadable: Collection[str] = ()
    ) -> None:
        """Delete a volume of a host.

        Raises:
            DeletionProtectedError: the volume is a disk of a protected domain, or may be one.
        """
        connection, driver = self._hosts.offering(ports.Volumes, host)
        ref = VolumeRef(pool=pool, name=name)
        await self._tenancy.require(
            connection, driver, [], [ref], shared=self._gate.shared_volumes()
        )
        self._check_protection(connection, name, ignore_unreadable)
        with connection.call():
            deletion = partial(
                announce, connection.intent(Action.DELETE_VOLUME, name=name, pool=pool)
            )
            checked = is_only_checked()  # the driver's own checks come before its change
            if not checked:
                await deletion()
            try:
                await driver.delete_volume(
                    pool,
                    name,
                    ignore_unreadable=ignore_unreadable,
                    begin=deletion if checked else ports.at_once,
                )
            except InUseError as error:
                self._check_protection(connection, name, error.users)
                raise

    def _check_protection(
        self, connection: EngineConnection, volume: str, users: Collection[str]
    ) -> None:
        """Refuse to delete a volume that a protected domain is among the users of."""
        for user in users:
            domain = user.removeprefix(_DOMAIN)
            for entry in self._inventory.named(domain):
                published, visibility = entry.published, current_visibility()
                if (
                    entry.engine == connection.ref
                    and published.deletion_protection
                    and visibility.shows(published)
                ):
                    raise DeletionProtectedError("DeleteVolume", domain, volume=volume)
