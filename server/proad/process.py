"""The daemon as a process: its signals, its limits, its state folder, and what it serves there."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from importlib.metadata import version

import structlog

from proad.app import serving
from proad.collector import Collector
from proad.composition.engines import engine_drivers, memory_drivers
from proad.config import Settings, UnixAddress
from proad.control import Control, controlled
from proad.errors import SetupError
from proad.logs import configure_logs
from proad.reload import ReloadableSettings, Reloader
from proad.sockets import claimed
from proad.state import audit_log_held, daemon_id, prepare_state_dir, served
from proad.store.database import Database
from proad.store.images import ImageStore
from proad.store.resources import ResourceStore
from proad.store.volume_owners import VolumeOwnerStore
from proad.store.volumes import VolumeStore

_log = structlog.get_logger(__name__)

# A command on the host may be writing to the audit log: it takes no longer than its change.
_COMMAND_PATIENCE = 20.0  # seconds


async def run(settings: Settings, load: Callable[[], Settings], *, memory: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; reload at SIGHUP.

    Args:
        settings: all settings.
        load: loads the settings anew, for a reload.
        memory: serve pretended resources in memory instead of the hosts' engines.

    Raises:
        SetupError: the daemon cannot start.
    """
    threshold = configure_logs(settings.log_format, settings.log_level)
    reloader = Reloader(settings, load)
    reloader.add(
        ReloadableSettings("log_level", take_over=lambda each: threshold.set(each.log_level))
    )
    stop, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    _raise_file_limit()
    prepare_state_dir(settings.state_dir)
    with ExitStack() as alone:
        alone.enter_context(served(settings.state_dir))
        alone.enter_context(audit_log_held(settings.state_dir, patience=_COMMAND_PATIENCE))
        for address in settings.listen:
            if isinstance(address, UnixAddress):
                alone.enter_context(claimed(address.path))
        if settings.login_socket is not None:
            alone.enter_context(claimed(settings.login_socket))
        await _serve(settings, reloader, stop, hangup, memory=memory)
    _log.info("stopped")


async def _serve(
    settings: Settings,
    reloader: Reloader,
    stop: asyncio.Event,
    hangup: asyncio.Event,
    *,
    memory: bool,
) -> None:
    control = Control()
    control.add("reload", reloader.command)
    async with (
        Database.open(settings.database_url.get_secret_value()) as database,
        serving(
            settings,
            database,
            memory_drivers() if memory else engine_drivers(settings.hosts, VolumeStore(database)),
            # What is in memory alone is no more when the daemon ends.
            records=None if memory else ResourceStore(database, daemon_id(settings.state_dir)),
            image_records=None if memory else ImageStore(database, daemon_id(settings.state_dir)),
            reloader=reloader,
            control=control,
            volume_owners=None if memory else VolumeOwnerStore(database),
        ) as addresses,
        controlled(settings.state_dir, control),
        _reloading_at(hangup, reloader),
    ):
        Collector().tame()
        login = {"login_socket": str(settings.login_socket)} if settings.login_socket else {}
        _log.info("serving", addresses=addresses, **login, version=version("proa"))
        await stop.wait()
        _log.info("stopping")


@asynccontextmanager
async def _reloading_at(hangup: asyncio.Event, reloader: Reloader) -> AsyncIterator[None]:
    """Reload whenever the event is set, also if it was set before."""

    async def reload() -> None:
        while await hangup.wait():
            hangup.clear()
            with suppress(SetupError):  # which is in the log
                await reloader.reload()

    reloading = asyncio.create_task(reload())
    try:
        yield
    finally:
        reloading.cancel()
        await asyncio.gather(reloading, return_exceptions=True)


def _raise_file_limit() -> None:
    """Raise the limit of open files as far as allowed: each connection needs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
