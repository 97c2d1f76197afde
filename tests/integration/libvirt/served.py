"""A daemon in this process on the real libvirt, with its own pool."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from integration.libvirt.conftest import TIMING, URI
from proad.config import Settings
from proad.drivers.libvirt import LibvirtDriver
from proad.store.database import Database
from proad.store.volumes import VolumeStore
from rpc.daemon import Daemon, running


@asynccontextmanager
async def served(
    folder: Path, tmp_path: Path, policy: Mapping[str, object], **parts: Any
) -> AsyncIterator[Daemon]:
    """Serve libvirt, with the pool of a folder, under a policy; see `rpc.daemon.running`."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    values: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "drain_timeout": "5s",
        "policy": policy,
    }
    settings = Settings(state_dir=state, **values)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        driver = LibvirtDriver(
            URI,
            virt_type="qemu",
            default_pool=folder.name,
            default_pool_path=str(folder),
            timing=TIMING,
            records=VolumeStore(database),
        )
        async with running(settings, [("local", driver)], **parts) as daemon:
            yield daemon
