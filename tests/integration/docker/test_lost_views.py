"""FULL views of containers while their dockerd goes and comes back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from eventually import eventually
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE
from proad.config import Settings
from proad.drivers.docker import DockerDriver
from proad.model import Access, ContainerSpec, NetworkAttachment
from relaxed_policy import RELAXED
from rpc.daemon import Daemon, Refusal, running
from rpc.tenants import tenant

pytestmark = pytest.mark.docker

GENEROUS = 90
UNREACHABLE = {"ENGINE_UNREACHABLE", "ENGINE_TIMED_OUT"}
FAILING = ("sh", "-c", "echo why; exit 3")


@pytest.fixture
async def driver(engine: PrivateEngine) -> DockerDriver:
    engine.start()
    async with DockerDriver(engine.url) as first:
        await eventually(lambda: engine.answers(first), within=GENEROUS)
    await engine.import_image()
    return DockerDriver(engine.url)


@pytest.fixture
async def daemon(tmp_path: Path, driver: DockerDriver) -> AsyncIterator[Daemon]:
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
    daemon: Daemon, driver: DockerDriver, engine: PrivateEngine, number: signal.Signals
):
    network = NetworkAttachment(network="none")
    spec = ContainerSpec(image=IMAGE, command=FAILING, networks=(network,), hostname="desk-7")
    made = (await driver.create_container(spec, start=True)).resource
    found: list[str] = []

    async def look() -> str:
        """Return the last line that a view has, or why there is none."""
        try:
            async with asyncio.timeout(GENEROUS):
                resource = (await daemon.call("GetResource", id=made.id)).resource
        except grpc.aio.AioRpcError as error:
            return str(Refusal.of(error).reason)
        return " ".join(resource.state_detail.last_lines)

    async def keep_looking() -> None:
        while True:
            found.append(await look())

    async def has_found(what: set[str]) -> None:
        count = len(found)
        await eventually(lambda: bool(what & {*found[count:]}), within=GENEROUS)

    async def is_whole() -> bool:
        return await look() == "why"

    await eventually(is_whole, within=GENEROUS)
    async with asyncio.TaskGroup() as group:
        looking = [group.create_task(keep_looking()) for _ in range(4)]
        await has_found({"why"})
        engine.signal(number)
        await has_found(UNREACHABLE)
        if number is signal.SIGSTOP:
            engine.signal(signal.SIGCONT)
        else:
            engine.start()
        await has_found({"why"})
        for each in looking:
            each.cancel()
    assert {*found} <= {"why"} | UNREACHABLE
