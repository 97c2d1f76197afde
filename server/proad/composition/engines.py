"""The hosts' engines: their drivers, and the connections that watch over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from proad.config import HostSettings
from proad.core.actor import current_user_id
from proad.core.engine_connection import EngineConnection
from proad.ports import Driver
from proad.ports.records import VolumeRecords

if TYPE_CHECKING:
    from proad.drivers.docker import Room


def engine_drivers(
    hosts: Sequence[HostSettings], volumes: VolumeRecords
) -> list[tuple[str, Driver]]:
    """Return the drivers of the engines that the settings name, each after the name of its host."""
    # Import the SDK of an engine only where one is configured.
    drivers: list[tuple[str, Driver]] = []
    room: Room | None = None  # one for all engines
    for host in hosts:
        if host.docker_url:
            from proad.drivers.docker import DockerDriver, Room

            room = room or Room(user=current_user_id)
            docker = DockerDriver(
                host.docker_url.get_secret_value(), cert_path=host.docker_tls_dir, room=room
            )
            drivers.append((host.name, docker))
        if host.libvirt_uri:
            from proad.drivers.libvirt import LibvirtDriver

            libvirt = LibvirtDriver(
                host.libvirt_uri.get_secret_value(),
                virt_type=host.virt_type,
                default_pool=host.libvirt_pool,
                default_pool_path=str(host.libvirt_pool_path),
                media_dirs=tuple(map(str, host.media_dirs)),
                records=volumes,
            )
            drivers.append((host.name, libvirt))
    return drivers


def memory_drivers() -> list[tuple[str, Driver]]:
    """Return the driver of pretended resources, on one host."""
    from proad.drivers.memory import MemoryDriver

    return [("local", MemoryDriver())]


@asynccontextmanager
async def supervised(connections: Sequence[EngineConnection]) -> AsyncIterator[None]:
    """Probe the engines from now on; enter the block when each has been probed once."""
    await asyncio.gather(*(connection.probe() for connection in connections))
    tasks = [asyncio.create_task(connection.supervise()) for connection in connections]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
