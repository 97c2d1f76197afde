"""A daemon on the memory driver that kills itself at a point of an audited pause.

Arguments: the state folder, and the point, or "never". Writes its address to standard output.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from proad.app import serving
from proad.audit import AuditTiming
from proad.config import Settings, TcpAddress
from proad.drivers.memory import MemoryDriver
from proad.store.database import Database
from proad.timing import DaemonTiming


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Kills this process at a point of a pause."""

    def __init__(self, point, folder):
        self._point = point
        self._folder = folder

    def reach(self, point):
        """Die at a point, once the intent of a pause is in the log."""
        if point == self._point and any(
            b"PauseResource" in path.read_bytes() for path in self._folder.iterdir()
        ):
            die()

    def sync(self, descriptor):
        self.reach("before sync")
        os.fdatasync(descriptor)
        self.reach("after sync")


class Driver(MemoryDriver):
    """Tells a killer of each pause."""

    def __init__(self, killer):
        super().__init__()
        self._killer = killer

    async def pause(self, id):
        self._killer.reach("before engine")
        resource = await super().pause(id)
        self._killer.reach("after engine")
        return resource


async def main(folder, point):
    settings = Settings(state_dir=folder, listen=(TcpAddress("127.0.0.1", 0),))
    killer = Killer(point, settings.audit_dir)
    timing = DaemonTiming(audit=AuditTiming(index_within=0.05))
    async with (
        Database.open(settings.database_url.get_secret_value()) as database,
        serving(
            settings,
            database,
            [("local", Driver(killer))],
            timing,
            checkpoint=killer.reach,
            sync=killer.sync,
        ) as addresses,
    ):
        print(addresses[0], flush=True)  # noqa: T201 - the test reads it
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
