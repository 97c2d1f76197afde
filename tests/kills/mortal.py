"""Daemons that can be told when to die. One process imports all, and forks each of them.

Reads orders from its input, one JSON object a line, and writes the process id of each daemon.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kills.killer import Killer
from proad.app import serving
from proad.config.loading import load_settings
from proad.core.quotas import QuotaTiming
from proad.core.recovery import RecoveryTiming
from proad.core.removals import RemovalTiming
from proad.drivers.docker import DockerDriver
from proad.drivers.libvirt import LibvirtDriver
from proad.logs import configure_logs
from proad.ports import Driver
from proad.state import daemon_id
from proad.store.database import Database
from proad.store.images import ImageStore
from proad.store.resources import ResourceStore
from proad.store.volume_owners import VolumeOwnerStore
from proad.store.volumes import VolumeStore
from proad.timing import DaemonTiming


async def _serve(order: dict[str, Any]) -> None:
    home = Path(order["home"])
    os.environ.update(order["environment"])
    config = os.environ.get("PROA_CONFIG")
    settings = load_settings(Path(config) if config else None)
    configure_logs(settings.log_format, settings.log_level)
    killer = Killer(home / "kill")
    killer.watch_engines()
    async with Database.open(settings.database_url.get_secret_value()) as database:
        (host,) = settings.hosts
        assert host.docker_url is not None
        assert host.libvirt_uri is not None
        drivers: list[tuple[str, Driver]] = [
            ("local", DockerDriver(host.docker_url.get_secret_value())),
            (
                "local",
                LibvirtDriver(
                    host.libvirt_uri.get_secret_value(),
                    virt_type="qemu",
                    default_pool=order["pool"],
                    default_pool_path=order["pool_path"],
                    records=VolumeStore(database),
                ),
            ),
        ]
        timing = replace(
            DaemonTiming(),
            quotas=QuotaTiming(unseen_for=timedelta(seconds=5)),
            recovery=RecoveryTiming(settles_within=10.0, interval=0.1),
            removals=RemovalTiming(first_interval=0.5, longest_interval=4.0),
        )
        id = daemon_id(settings.state_dir)
        async with serving(
            settings,
            database,
            drivers,
            timing,
            checkpoint=killer.checkpoint,
            records=ResourceStore(database, id),
            image_records=ImageStore(database, id),
            volume_owners=VolumeOwnerStore(database),
        ):
            (home / "serving").touch()
            await asyncio.Event().wait()


def main() -> None:
    """Fork a daemon for each order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    pid = 0
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            log = os.open(f"{order['home']}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 2)
            os.dup2(log, 1)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            asyncio.run(_serve(order))
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 - the answer to the order
    if pid:  # who gave the orders may have been killed, and its daemon must not live on
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
