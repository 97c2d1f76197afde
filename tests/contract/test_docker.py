import gc
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from container_sockets import echoing_at
from contract.attachments import AttachmentsContract
from contract.commands import CommandEndsContract, CommandsContract
from contract.consoles import ConsolesContract, ContainerConsolesContract
from contract.containers import IMAGE, ContainersContract
from contract.docker_harness import DockerHarness
from contract.driver_watcher import DriverWatcher
from contract.events import EventsContract
from contract.external_actor import DockerExternalActor, ExternalActor
from contract.external_changes import ExternalChangesContract
from contract.files import FilesAtRestContract, FilesContract
from contract.guests import ContainerGuestInfoContract
from contract.harness import PREFIX, DriverHarness
from contract.images import ImagesContract
from contract.lifecycle import LifecycleContract
from contract.logs import ContainerLogsContract
from contract.ports import SOCKET, PortForwardingContract, SocketForwardingContract
from contract.recovery import ContainerRecoveryContract
from contract.stats import StatsContract
from contract.stopping import DeafnessContract, NoSavingContract, StoppingContract
from contract.updates import ContainerUpdatesContract
from event_queue import EventQueue
from eventually import eventually
from guest.media import image_archive, import_image
from proad.drivers.docker import DockerDriver
from proad.errors import EngineUnreachableError
from proad.model import (
    ContainerResources,
    ContainerSpec,
    Resource,
    ResourceState,
    StateReason,
)

pytestmark = pytest.mark.docker


class OnDocker:
    harness_class = DockerHarness

    @pytest.fixture
    async def harness(self, docker_url: str) -> AsyncIterator[DriverHarness]:
        async with DockerHarness.open(DockerDriver(url=docker_url)) as harness:
            yield harness

    @pytest.fixture
    def scratch(self, docker_url: str) -> Iterator[str]:
        repository = PREFIX + secrets.token_hex(4)
        client = docker.APIClient(docker_url)
        client.import_image(str(image_archive()), repository=repository, tag="1")
        yield f"{repository}:1"
        if client.images(f"{repository}:1"):
            client.remove_image(f"{repository}:1", force=True)
        client.close()


@pytest.fixture(scope="module")
def docker_url() -> str:
    """Return the address of a Docker Engine that answers and has the test image."""
    url = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    client = docker.APIClient(url, timeout=5)
    try:
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        if os.environ.get("PROA_REQUIRE_ENGINES") == "1":
            raise
        pytest.skip(f"no Docker Engine at {url}: {error}")
    finally:
        client.close()
    import_image(url)
    return url


class TestDockerLifecycle(OnDocker, LifecycleContract): ...


class TestDockerStopping(OnDocker, StoppingContract, NoSavingContract, DeafnessContract): ...


class TestDockerContainers(OnDocker, ContainersContract): ...


class TestDockerAttachments(OnDocker, AttachmentsContract):
    @pytest.fixture
    def volume(self, docker_url: str) -> Iterator[str]:
        name = PREFIX + secrets.token_hex(4)
        yield name
        with suppress(NotFound):  # only one test makes it
            docker.APIClient(docker_url).remove_volume(name)

    @pytest.fixture
    async def harness(self, docker_url: str, volume: str) -> AsyncIterator[DriverHarness]:
        async with DockerHarness.open(DockerDriver(url=docker_url)) as harness:
            yield harness


class TestDockerImages(OnDocker, ImagesContract): ...


class TestDockerUpdates(OnDocker, ContainerUpdatesContract): ...


class TestDockerEvents(OnDocker, EventsContract): ...


class TestDockerExternalChanges(OnDocker, ExternalChangesContract):
    @pytest.fixture
    def external(self, docker_url: str) -> Iterator[ExternalActor]:
        client = docker.APIClient(docker_url)
        yield DockerExternalActor(client, IMAGE)
        client.close()

    async def test_events_of_a_process_that_ends_are_ended(self, harness: DriverHarness):
        spec = ContainerSpec(image=IMAGE, name=harness.new_name(), command=("sh", "-c", "exit 3"))
        async with DriverWatcher.of(harness.driver) as watcher:
            made = (await harness.containers.create_container(spec, start=True)).resource
            await watcher.wait_for(made.id, lambda it: it.state_detail.exit_code == 3)
            assert watcher.resources[made.id].state is ResourceState.STOPPED
            await watcher.wait_event(made.id, "ended")


class TestDockerRecovery(OnDocker, ContainerRecoveryContract): ...


class TestDockerStats(OnDocker, StatsContract): ...


class TestDockerFiles(OnDocker, FilesContract, FilesAtRestContract): ...


class TestDockerCommands(OnDocker, CommandsContract, CommandEndsContract): ...


class TestDockerPorts(OnDocker, PortForwardingContract): ...


class TestDockerSockets(OnDocker, SocketForwardingContract):
    @asynccontextmanager
    async def echoing(self, harness: DriverHarness) -> AsyncIterator[Resource]:
        resource = await harness.running()
        async with echoing_at(resource, SOCKET):
            yield resource


class TestDockerGuestInfo(OnDocker, ContainerGuestInfoContract): ...


class TestDockerLogs(OnDocker, ContainerLogsContract): ...


class TestDockerConsoles(OnDocker, ConsolesContract, ContainerConsolesContract): ...


class TestDockerEnds(OnDocker):
    """How a process exits by itself."""

    @pytest.mark.parametrize(
        ("code", "reason"), [(0, StateReason.COMPLETED), (3, StateReason.ERROR)]
    )
    async def test_exit_code_is_in_the_state_detail(
        self, harness: DriverHarness, code: int, reason: StateReason
    ):
        ended = await self._ended(
            harness,
            ContainerSpec(
                image=IMAGE, name=harness.new_name(), command=("sh", "-c", f"exit {code}")
            ),
        )
        assert (ended.state_detail.reason, ended.state_detail.exit_code) == (reason, code)
        assert not ended.state_detail.oom_killed

    async def test_out_of_memory_is_in_the_state_detail(self, harness: DriverHarness):
        """Docker learns of it separately from the exit: later, and sometimes never."""

        async def reported(id: str) -> bool:
            detail = (await harness.driver.get_resource(id)).state_detail
            assert detail.exit_code == 137
            assert detail.oom_killed == (detail.reason is StateReason.OOM_KILLED)
            return detail.oom_killed

        for _attempt in range(5):
            ended = await self._ended(
                harness,
                ContainerSpec(
                    image=IMAGE,
                    name=harness.new_name(),
                    command=("sh", "-c", "x=a; while :; do x=$x$x; done"),
                    resources=ContainerResources(
                        memory_bytes=8 * 2**20, memory_swap_bytes=8 * 2**20
                    ),
                ),
            )
            with suppress(TimeoutError):
                await eventually(partial(reported, ended.id), within=5)
                return
        pytest.fail("Docker never reported it")

    async def _ended(self, harness: DriverHarness, spec: ContainerSpec):
        made = (await harness.containers.create_container(spec, start=True)).resource

        async def stopped() -> bool:
            return (await harness.driver.get_resource(made.id)).state is ResourceState.STOPPED

        await eventually(stopped)
        return await harness.driver.get_resource(made.id)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # docker-py's, see the end
async def test_engine_absent_is_unreachable(tmp_path: Path):
    async with DockerDriver(url=f"unix://{tmp_path}/nothing.sock") as driver:
        for call in (driver.probe(), driver.list_resources(), driver.get_resource("0" * 64)):
            with pytest.raises(EngineUnreachableError):
                await call
        with pytest.raises(EngineUnreachableError):
            async with EventQueue.of(driver):
                pass
    gc.collect()  # the sockets that docker-py could not connect, and did not close
