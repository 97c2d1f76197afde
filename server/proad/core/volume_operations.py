"""Volumes in storage pools."""

from collections.abc import Collection
from dataclasses import replace

from proad import ports
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.requests import announce
from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.errors import DeletionProtectedError, InUseError
from proad.model import Action, Footprint, Volume, VolumeSpec

# What a driver puts before the name of a domain among the users of a volume.
_DOMAIN = "domain "


class VolumeOperations:
    """Lists, creates and deletes volumes on the hosts; errors are those of the port."""

    def __init__(
        self, hosts: Hosts, tasks: ShieldedTasks, inventory: Inventory, gate: PolicyGate
    ) -> None:
        self._hosts = hosts
        self._tasks = tasks
        self._inventory = inventory
        self._gate = gate

    async def list(self, pool: str, *, host: str) -> list[Volume]:
        """Return the volumes of a host, by pool and name."""
        connection, driver = self._hosts.offering(ports.Volumes, host)
        volumes = await connection.read(lambda: driver.list_volumes(pool))
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
        intent = connection.intent(Action.CREATE_VOLUME, name=spec.name, pool=spec.pool)

        async def begin(footprint: Footprint) -> None:
            await announce(replace(intent, footprint=footprint))

        with connection.call():
            volume = await driver.create_volume(spec, announce=begin)
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
        self._check_protection(connection, name, ignore_unreadable)
        with connection.call():
            await announce(connection.intent(Action.DELETE_VOLUME, name=name, pool=pool))
            try:
                await driver.delete_volume(pool, name, ignore_unreadable=ignore_unreadable)
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
                if entry.engine == connection.ref and entry.published.deletion_protection:
                    raise DeletionProtectedError("DeleteVolume", domain, volume=volume)
