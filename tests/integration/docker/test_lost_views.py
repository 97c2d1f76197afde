"""FULL views of containers while their dockerd goes and comes back."""

import signal
from pathlib import Path

import pytest

from eventually import eventually
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE
from integration.lost_views import GENEROUS, check_views, each_loss, serving
from proa import v1
from proad.drivers.docker import DockerDriver
from proad.model import ContainerSpec, NetworkAttachment

pytestmark = pytest.mark.docker

FAILING = ("sh", "-c", "echo why; exit 3")


@pytest.fixture
async def driver(engine: PrivateEngine) -> DockerDriver:
    engine.start()
    async with DockerDriver(engine.url) as first:
        await eventually(lambda: engine.answers(first), within=GENEROUS)
    await engine.import_image()
    return DockerDriver(engine.url)


def last_lines(resource: v1.Resource) -> str:
    return " ".join(resource.state_detail.last_lines)


@each_loss
async def test_view_is_whole_or_refused_and_whole_again(
    tmp_path: Path, driver: DockerDriver, engine: PrivateEngine, number: signal.Signals
):
    network = NetworkAttachment(network="none")
    spec = ContainerSpec(image=IMAGE, command=FAILING, networks=(network,), hostname="desk-7")
    async with serving(tmp_path, driver) as daemon:
        made = (await driver.create_container(spec, start=True)).resource
        await check_views(daemon, made.id, engine, number, told=last_lines, whole="why")
