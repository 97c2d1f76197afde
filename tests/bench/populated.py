"""A daemon over the memory driver that has containers from the start: `-m bench.populated COUNT`.

Everything else is as `proad serve --memory` has it. To create 50,000 through the daemon would
take a minute.
"""

import asyncio
import signal
import sys

import structlog
import uvloop

from proad import app
from proad.collector import Collector
from proad.config import Settings, load_settings
from proad.drivers.memory import MemoryDriver
from proad.logs import configure_logs
from proad.model import ContainerSpec
from proad.store.database import Database

IMAGE = "busybox:1"

_log = structlog.get_logger(__name__)


def name(number: int) -> str:
    """Return the name of a container."""
    return f"box-{number:06d}"


async def _serve(settings: Settings, count: int) -> None:
    configure_logs(settings.log_format, settings.log_level)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    driver = MemoryDriver()
    async for _progress in driver.pull_image(IMAGE):
        pass
    for number in range(count):
        await driver.create_container(
            ContainerSpec(image=IMAGE, name=name(number), labels={"tier": "web"})
        )
    async with (
        Database.open(settings.database_url.get_secret_value()) as database,
        app.serving(settings, database, [("local", driver)]) as addresses,
    ):
        Collector().tame()
        _log.info("serving", addresses=addresses)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve(load_settings(None), int(sys.argv[1])))
