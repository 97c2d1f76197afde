"""Obligations of `Containers`."""

import asyncio
import re
from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from contract.announced import Announced
from contract.harness import FORCE, DriverHarness
from eventually import consistently, eventually
from free_port import free_port
from proad.errors import (
    AlreadyExistsError,
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    ResourceNotFoundError,
)
from proad.model import (
    ACTIVE,
    Container,
    ContainerResources,
    ContainerSpec,
    EnvSecret,
    ImageDefaults,
    Lifetime,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    ResourceKind,
    ResourceState,
    ResourceView,
    RestartOptions,
    RestartPolicy,
    RestartPolicyMode,
    StateDetail,
    StateReason,
    TmpfsMount,
    Ulimit,
    VolumeMount,
)
from resource_details import spec_of

IMAGE = "proa-test/busybox:1"
IDLE = ("sleep", "3600")


class ContainersContract:
    async def test_create_without_start_is_stopped(self, harness: DriverHarness):
        name = harness.new_name()
        spec = ContainerSpec(image=IMAGE, name=name, command=IDLE)
        made = (await harness.containers.create_container(spec)).resource
        assert re.fullmatch("[0-9a-f]{64}", made.id)
        assert (made.name, made.kind) == (name, ResourceKind.CONTAINER)
        assert made.state is ResourceState.STOPPED
        assert made.state_detail.reason is StateReason.NEVER_STARTED
        assert made.state_detail.exit_code is None
        await harness.check(made)

    async def test_create_with_start_is_running(self, harness: DriverHarness):
        spec = ContainerSpec(image=IMAGE, name=harness.new_name(), command=IDLE)
        made = (await harness.containers.create_container(spec, start=True)).resource
        assert made.state is ResourceState.RUNNING
        assert made.state_detail.start_time is not None
        assert made.container is not None
        assert made.container.pid > 0
        await harness.check(made)

    async def test_create_without_name_gets_a_name(self, harness: DriverHarness):
        made = (await harness.containers.create_container(ContainerSpec(image=IMAGE))).resource
        try:
            assert made.name
        finally:
            await harness.driver.delete(made.id)

    async def test_create_container_has_everything_requested(self, harness: DriverHarness):
        name = harness.new_name()
        port = free_port()
        spec = ContainerSpec(
            image=IMAGE,
            name=name,
            command=IDLE,
            env={"GREETING": "a=b c"},
            working_dir="/tmp",
            user="1:1",
            hostname="inside",
            labels={"proa-test": name, "empty": ""},
            ports=(
                PublishedPort(container_port=80, host_port=port, host_ip="127.0.0.1"),
                PublishedPort(container_port=53, protocol=PortProtocol.UDP),
            ),
            mounts=(Mount(target="/scratch", tmpfs=TmpfsMount(size_bytes=2**20)),),
            resources=ContainerResources(memory_bytes=64 * 2**20, cpus=0.5, pids_limit=50),
            shm_size_bytes=2**20,
            ulimits=(Ulimit(name="nofile", soft=64, hard=128),),
            restart_policy=RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=2),
            init=True,
            tty=True,
            stdin_open=True,
            read_only_root=True,
            cap_drop=("NET_RAW",),
            stop_signal="SIGINT",
            stop_timeout=timedelta(seconds=3),
        )
        made = (await harness.containers.create_container(spec, start=True)).resource
        shown = made.container
        assert shown is not None
        asked = shown.spec
        assert asked is not None
        assert shown.image == IMAGE
        assert re.fullmatch("sha256:[0-9a-f]{64}", shown.image_id)
        assert shown.command == IDLE
        assert shown.env["GREETING"] == "a=b c"
        assert (shown.working_dir, shown.user, shown.hostname) == ("/tmp", "1:1", "inside")
        assert made.labels.items() >= spec.labels.items()
        published = {each.container_port: each for each in shown.ports}
        assert published[80] == spec.ports[0]
        assert published[53].protocol is PortProtocol.UDP
        assert published[53].host_port
        assert set(asked.ports) == set(spec.ports)
        assert shown.mounts == spec.mounts
        assert asked.resources.memory_bytes == 64 * 2**20
        assert asked.resources.cpus == 0.5
        assert asked.resources.pids_limit == 50
        assert asked.shm_size_bytes == 2**20
        assert asked.ulimits == spec.ulimits
        assert asked.restart_policy == spec.restart_policy
        assert (asked.init, asked.tty, asked.stdin_open, asked.read_only_root) == (True,) * 4
        assert asked.cap_drop == ("NET_RAW",)
        assert (shown.stop_signal, asked.stop_timeout) == ("SIGINT", timedelta(seconds=3))
        assert not shown.privileged
        assert [each.network for each in shown.networks] == ["bridge"]

    @pytest.mark.parametrize(("asked", "shown"), [(None, True), (True, True), (False, False)])
    async def test_create_shows_whether_new_privileges_are_allowed(
        self, harness: DriverHarness, *, asked: bool | None, shown: bool
    ):
        spec = ContainerSpec(
            image=IMAGE, name=harness.new_name(), command=IDLE, allow_new_privileges=asked
        )
        made = (await harness.containers.create_container(spec)).resource
        assert spec_of(made).allow_new_privileges is shown
        assert made.container is not None
        assert made.container.spec_omits == ()

    async def test_summary_is_the_full_view_without_the_details(self, harness: DriverHarness):
        spec = ContainerSpec(
            image=IMAGE,
            name=harness.new_name(),
            command=("sh", "-c", "sleep 3600; echo 'a b'"),
            labels={"proa.mine": "kept"},
            ports=(
                PublishedPort(container_port=80),
                PublishedPort(container_port=81, host_port=free_port(), host_ip="127.0.0.1"),
            ),
            mounts=(
                Mount(target="/scratch", tmpfs=TmpfsMount(size_bytes=2**20, mode=0o700)),
                Mount(target="/data", volume=VolumeMount()),
            ),
        )
        made = (await harness.containers.create_container(spec)).resource
        await harness.check(made)
        assert made.labels.items() >= spec.labels.items()
        for step in (None, harness.driver.start, harness.driver.pause, harness.driver.stop):
            if step is not None:
                await step(made.id)
            full = await harness.driver.get_resource(made.id)
            short = await harness.driver.get_resource(made.id, ResourceView.SUMMARY)
            shown = full.container
            assert shown is not None
            assert bool(shown.ports) == (full.state in ACTIVE)
            assert len(spec_of(full).ports) == len(spec.ports)
            reason = full.state_detail.reason
            assert short == replace(
                full,
                state_detail=StateDetail(
                    reason=None if reason is StateReason.KILLED else reason,
                    exit_code=full.state_detail.exit_code,
                ),
                container=Container(
                    image=shown.image,
                    image_id=shown.image_id,
                    ports=shown.ports,
                    networks=tuple(replace(each, aliases=()) for each in shown.networks),
                    mounts=tuple(each for each in shown.mounts if each.tmpfs is None),
                ),
            )

    async def test_create_network_of_another_container_as_shown_is_accepted(
        self, harness: DriverHarness
    ):
        other = await harness.make(start=True)
        network = NetworkAttachment(network=f"container:{other.name}")
        for _ in range(2):
            spec = ContainerSpec(image=IMAGE, name=harness.new_name(), networks=(network,))
            made = (await harness.containers.create_container(spec)).resource
            short = await harness.driver.get_resource(made.id, ResourceView.SUMMARY)
            for view in (made, short):
                assert view.container is not None
                (network,) = view.container.networks
                assert network == NetworkAttachment(network=f"container:{other.id}")
            await harness.driver.delete(made.id)

    async def test_create_missing_image_leaves_nothing(self, harness: DriverHarness):
        name = harness.new_name()
        spec = ContainerSpec(image="missing/image:0", name=name)
        with pytest.raises(ImageNotFoundError) as caught:
            await harness.containers.create_container(spec, start=True)
        assert caught.value.metadata == {"image": "missing/image:0"}
        assert await harness.named(name) == []

    @pytest.mark.parametrize("named", [True, False])
    async def test_create_announces_once_what_it_makes(
        self, harness: DriverHarness, *, named: bool
    ):
        announced = Announced()
        spec = ContainerSpec(image=IMAGE, name=harness.new_name() if named else "", command=IDLE)
        made = await harness.containers.create_container(spec, announce=announced)
        try:
            assert announced.marks == [made.resource.creation or made.resource.id]
        finally:
            await harness.driver.delete(made.resource.id)

    async def test_create_of_an_image_that_is_denied_leaves_nothing(self, harness: DriverHarness):
        name, announced = harness.new_name(), Announced()
        judged: list[ImageDefaults] = []

        async def deny(image: ImageDefaults) -> None:
            judged.append(image)
            raise ImageNotFoundError(IMAGE)

        spec = ContainerSpec(image=IMAGE, name=name, command=IDLE)
        with pytest.raises(ImageNotFoundError):
            await harness.containers.create_container(
                spec, start=True, announce=announced, judge=deny
            )
        made = await harness.make(start=True)
        assert made.container is not None
        assert [each.id for each in judged] == [made.container.image_id]
        assert announced.marks == []
        assert await harness.named(name) == []

    async def test_create_taken_name_leaves_the_other_alone(self, harness: DriverHarness):
        first = await harness.make(start=True)
        spec = ContainerSpec(image=IMAGE, name=first.name, command=IDLE)
        announced = Announced()
        with pytest.raises(AlreadyExistsError) as caught:
            await harness.containers.create_container(spec, start=True, announce=announced)
        assert announced.marks == []
        assert caught.value.metadata["existing_id"] == first.id
        assert [each.id for each in await harness.named(first.name)] == [first.id]
        assert (await harness.driver.get_resource(first.id)).state is ResourceState.RUNNING

    async def test_create_with_start_that_fails_leaves_nothing(self, harness: DriverHarness):
        port = PublishedPort(container_port=80, host_port=free_port())
        spec = ContainerSpec(image=IMAGE, name=harness.new_name(), command=IDLE, ports=(port,))
        first = (await harness.containers.create_container(spec, start=True)).resource
        name = harness.new_name()
        spec = ContainerSpec(image=IMAGE, name=name, command=IDLE, ports=(port,))
        with pytest.raises(InUseError) as caught:
            await harness.containers.create_container(spec, start=True)
        assert caught.value.metadata["port"].endswith(f":{port.host_port}")
        assert caught.value.metadata["used_by"] == first.name
        assert await harness.named(name) == []
        spec = ContainerSpec(image=IMAGE, name=name, command=IDLE)  # the name is free again
        await harness.containers.create_container(spec, start=True)

    async def test_start_that_fails_changes_nothing(self, harness: DriverHarness):
        port = PublishedPort(container_port=80, host_port=free_port())
        spec = ContainerSpec(image=IMAGE, name=harness.new_name(), command=IDLE, ports=(port,))
        first = (await harness.containers.create_container(spec, start=True)).resource
        spec = ContainerSpec(image=IMAGE, name=harness.new_name(), command=IDLE, ports=(port,))
        second = (await harness.containers.create_container(spec)).resource
        with pytest.raises(InUseError) as caught:
            await harness.driver.start(second.id)
        assert caught.value.metadata["used_by"] == first.name
        assert (await harness.driver.get_resource(second.id)).state is ResourceState.STOPPED
        await harness.driver.stop(first.id, FORCE)
        assert (await harness.driver.start(second.id)).state is ResourceState.RUNNING

    async def test_create_with_a_network_that_is_missing_names_the_field(
        self, harness: DriverHarness
    ):
        name = harness.new_name()
        networks = (NetworkAttachment(network="bridge"), NetworkAttachment(network="missing"))
        spec = ContainerSpec(image=IMAGE, name=name, command=IDLE, networks=networks)
        with pytest.raises(InvalidArgumentError) as caught:
            await harness.containers.create_container(spec, start=True)
        assert [each.field for each in caught.value.violations] == ["spec.networks[1].network"]
        assert await harness.named(name) == []

    @pytest.mark.parametrize("after", [0.0, 0.02, 0.1])
    async def test_create_cancelled_leaves_nothing(self, harness: DriverHarness, after: float):
        name = harness.new_name()
        spec = ContainerSpec(image=IMAGE, name=name, command=IDLE)
        create = asyncio.create_task(harness.containers.create_container(spec, start=True))
        await asyncio.sleep(after)
        if not create.cancel():
            return  # it was made before it could be cancelled
        with pytest.raises(asyncio.CancelledError):
            await create

        async def gone() -> bool:
            return await harness.named(name) == []

        await eventually(gone)
        await consistently(gone, during=0.3)

    async def test_stop_without_grace_uses_the_containers_own(self, harness: DriverHarness):
        made = await harness.running(deaf=True)  # with a stop_timeout of one second
        loop = asyncio.get_running_loop()
        before = loop.time()
        stopped = await harness.driver.stop(made.id)
        assert stopped.state is ResourceState.STOPPED
        assert stopped.state_detail.exit_code == 137
        assert 0.9 <= loop.time() - before < 8

    async def test_restart_without_mode_asks_first(self, harness: DriverHarness):
        made = await harness.running(slow=True)
        restarted = await harness.driver.restart(
            made.id, RestartOptions(grace_period=harness.grace)
        )
        assert restarted.state is ResourceState.RUNNING
        now = await harness.driver.get_resource(made.id)
        before, after = made.state_detail.start_time, now.state_detail.start_time
        assert before is not None
        assert after is not None
        assert timedelta(seconds=0.4) < after - before < harness.grace

    async def test_layer_size_is_what_the_container_alone_has(self, harness: DriverHarness):
        made = await harness.make()
        assert 0 <= await harness.containers.layer_size(made.id) < 2**20
        await harness.driver.delete(made.id)
        with pytest.raises(ResourceNotFoundError):
            await harness.containers.layer_size(made.id)

    async def test_env_secret_is_shown_without_its_value(self, harness: DriverHarness):
        spec = ContainerSpec(
            image=IMAGE,
            name=harness.new_name(),
            command=IDLE,
            env={"PLAIN": "x"},
            env_secret={"PASSWORD": EnvSecret(value="hunter2"), "EMPTY": EnvSecret()},
        )
        made = (await harness.containers.create_container(spec, start=True)).resource

        listed = await harness.driver.list_resources(ResourceView.FULL)
        for shown in (made, *(each for each in listed if each.id == made.id)):
            assert shown.container is not None
            has = spec_of(shown)
            assert has.env_secret == dict.fromkeys(spec.env_secret, EnvSecret(redacted=True))
            assert has.env == spec.env
            assert (shown.container.env["PLAIN"], shown.container.env["PASSWORD"]) == ("x", "")
            assert "hunter2" not in str(asdict(shown))
        assert await harness.containers.env_secrets(made.id) == {"PASSWORD": "hunter2", "EMPTY": ""}

    async def test_env_secrets_of_what_is_not_there_are_not_found(self, harness: DriverHarness):
        with pytest.raises(ResourceNotFoundError):
            await harness.containers.env_secrets("0" * 64)

    async def test_transient_container_not_started_stays(self, harness: DriverHarness):
        made = await harness.make(lifetime=Lifetime.TRANSIENT)
        assert made.state is ResourceState.STOPPED
        ran = await harness.running(lifetime=Lifetime.TRANSIENT)
        await harness.driver.stop(ran.id, FORCE)
        assert await harness.is_gone(ran.id)  # the engine has removed what it removes
        await harness.check(made)
