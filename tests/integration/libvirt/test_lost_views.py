"""FULL views of a guest while its libvirtd goes and comes back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from eventually import eventually
from guest.media import medium
from integration.libvirt.conftest import TIMING
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from integration.libvirt.test_lost_inside import booted, libvirtd, sh
from proad.config import Settings
from proad.drivers.libvirt import LibvirtDriver
from proad.model import Access
from relaxed_policy import RELAXED
from rpc.daemon import Daemon, Refusal, running
from rpc.tenants import tenant

pytestmark = pytest.mark.libvirt
__all__ = ["libvirtd"]

GENEROUS = 90
UNREACHABLE = {"ENGINE_UNREACHABLE", "ENGINE_TIMED_OUT"}


@pytest.fixture
def driver(libvirtd: PrivateLibvirtd) -> LibvirtDriver:
    media = medium("guest.iso").parent
    return LibvirtDriver(libvirtd.uri, virt_type="qemu", media_dirs=(str(media),), timing=TIMING)


@pytest.fixture
async def daemon(tmp_path: Path, driver: LibvirtDriver) -> AsyncIterator[Daemon]:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": RELAXED}
    async with running(Settings(state_dir=state, **values), [("local", driver)]) as daemon:
        await tenant(daemon, "ann", Access.ALL)
        yield daemon


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP], ids=lambda number: number.name
)
async def test_view_is_whole_or_refused_and_whole_again(
    daemon: Daemon, driver: LibvirtDriver, libvirtd: PrivateLibvirtd, number: signal.Signals
):
    guest = await booted(driver)
    await sh(driver, guest.id, "hostname desk-7")
    found: list[str] = []

    async def look() -> str:
        """Return the host name that a view has, or why there is none."""
        try:
            async with asyncio.timeout(GENEROUS):
                info = (await daemon.call("GetResource", id=guest.id)).resource.guest_info
        except grpc.aio.AioRpcError as error:
            return str(Refusal.of(error).reason)
        return f"{info.hostname} {info.agent_answered}"

    async def keep_looking() -> None:
        while True:
            found.append(await look())

    async def has_found(what: set[str]) -> None:
        count = len(found)
        await eventually(lambda: bool(what & {*found[count:]}), within=GENEROUS)

    whole = "desk-7 True"
    await eventually(lambda: _is(look, whole), within=GENEROUS)
    async with asyncio.TaskGroup() as group:
        looking = [group.create_task(keep_looking()) for _ in range(4)]
        await has_found({whole})
        libvirtd.signal(number)
        await has_found(UNREACHABLE)
        if number is signal.SIGSTOP:
            libvirtd.signal(signal.SIGCONT)
        else:
            libvirtd.start()
        await has_found({whole})
        for each in looking:
            each.cancel()
    assert {*found} <= {whole} | UNREACHABLE


async def _is(look: Any, what: str) -> bool:
    return bool(await look() == what)
