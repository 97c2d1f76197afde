"""Reads, and the verbs that the engine does in one step."""

import asyncio
from datetime import timedelta

import docker
import pytest

from eventually import eventually
from integration.docker.workloads import DEAF, IMAGE, OBEDIENT, Make
from proad.drivers.docker import DockerDriver
from proad.errors import (
    CapabilityMissingError,
    ResourceAlreadyRunningError,
    ResourceNotFoundError,
    ResourceNotRunningError,
    ResourceRunningError,
    StateError,
)
from proad.model import (
    DeleteOptions,
    Lifetime,
    Mount,
    PublishedPort,
    ResourceKind,
    ResourceState,
    ResourceView,
    RestartPolicy,
    RestartPolicyMode,
    StartOptions,
    StateReason,
    VolumeMount,
)
from proad.ports import Containers, Driver, Images, Stats, Updates

pytestmark = pytest.mark.docker

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED
ALWAYS = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
FORCE = DeleteOptions(force=True)


async def summary(driver: DockerDriver, id: str):
    return await driver.get_resource(id, ResourceView.SUMMARY)


def test_docker_driver_implements_five_ports():
    driver: Driver = DockerDriver()
    for port in (Driver, Containers, Images, Stats, Updates):
        assert isinstance(driver, port)


async def test_probe_returns_engine_info(driver: DockerDriver, raw: docker.APIClient):
    info = await driver.probe()
    facts = raw.info()
    assert info.version == facts["ServerVersion"]
    assert (info.hostname, info.cpus) == (facts["Name"], facts["NCPU"])
    assert info.memory_bytes == facts["MemTotal"]
    assert info.architecture == facts["Architecture"]
    assert list(info.warnings) == (facts["Warnings"] or [])


class TestStates:
    async def test_state_of_created_container_is_stopped_never_started(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF, start=False)
        assert (made.kind, made.state) == (ResourceKind.CONTAINER, STOPPED)
        assert made.state_detail.reason is StateReason.NEVER_STARTED
        assert made.state_detail.exit_code is None
        assert made.state_detail.start_time is None
        short = await summary(driver, made.id)
        assert (short.state, short.state_detail.reason) == (STOPPED, StateReason.NEVER_STARTED)

    async def test_state_of_running_container_is_running(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF)
        assert made.state is RUNNING
        assert made.state_detail.reason is None
        assert made.state_detail.exit_code is None
        assert made.state_detail.start_time is not None
        assert made.state_detail.finish_time is None
        assert (await summary(driver, made.id)).state is RUNNING

    async def test_state_of_paused_container_is_paused_by_user(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF)
        paused = await driver.pause(made.id)
        assert (paused.state, paused.state_detail.reason) == (PAUSED, StateReason.USER)
        assert (await summary(driver, made.id)).state is PAUSED

    @pytest.mark.parametrize(
        ("command", "code", "reason"),
        [
            (("true",), 0, StateReason.COMPLETED),
            (("sh", "-c", "exit 3"), 3, StateReason.ERROR),
            (("sh", "-c", "exit 137"), 137, StateReason.KILLED),
        ],
    )
    async def test_state_of_exited_container_has_reason_and_exit_code(
        self,
        driver: DockerDriver,
        make: Make,
        command: tuple[str, ...],
        code: int,
        reason: StateReason,
    ):
        made = await make(*command)

        async def ended() -> bool:
            return (await driver.get_resource(made.id)).state is STOPPED

        await eventually(ended)
        detail = (await driver.get_resource(made.id)).state_detail
        assert (detail.reason, detail.exit_code, detail.oom_killed) == (reason, code, False)
        assert detail.finish_time is not None
        short = (await summary(driver, made.id)).state_detail
        # Only the FULL view tells whether a killed container had run out of memory.
        listed = None if code == 137 else reason
        assert (short.reason, short.exit_code) == (listed, code)

    async def test_state_of_restarting_container_is_starting(
        self, driver: DockerDriver, make: Make
    ):
        made = await make("sh", "-c", "exit 4", restart_policy=ALWAYS)

        async def restarting() -> bool:
            return (await driver.get_resource(made.id)).state is ResourceState.STARTING

        await eventually(restarting, every=0.02)
        detail = (await driver.get_resource(made.id)).state_detail
        if detail.reason is not None:  # it may run for a moment
            assert (detail.reason, detail.exit_code) == (StateReason.RESTARTING, 4)

    async def test_get_resource_of_removed_transient_container_raises_not_found(
        self, driver: DockerDriver, make: Make
    ):
        made = await make("true", lifetime=Lifetime.TRANSIENT)
        assert made.lifetime is Lifetime.TRANSIENT

        async def gone() -> bool:
            return all(each.id != made.id for each in await driver.list_resources())

        await eventually(gone)
        with pytest.raises(ResourceNotFoundError):
            await driver.get_resource(made.id)


@pytest.mark.parametrize("id", ["0" * 64, "", "..", "../info", "a" * 1_000_000, "web", "\0", "ü"])
async def test_calls_with_unknown_id_raise_resource_not_found(driver: DockerDriver, id: str):
    for view in ResourceView:
        with pytest.raises(ResourceNotFoundError):
            await driver.get_resource(id, view)
    for verb in (
        driver.start,
        driver.stop,
        driver.restart,
        driver.pause,
        driver.resume,
        driver.delete,
    ):
        with pytest.raises(ResourceNotFoundError):
            await verb(id)


async def test_calls_with_partial_id_or_name_raise_resource_not_found(
    driver: DockerDriver, make: Make
):
    made = await make(*DEAF)
    for part in (made.id[:12], made.name, made.id.upper()):
        with pytest.raises(ResourceNotFoundError):
            await driver.pause(part)
        with pytest.raises(ResourceNotFoundError):
            await summary(driver, part)


class TestStart:
    async def test_start_of_stopped_or_paused_container_runs_it(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF, start=False)
        assert (await driver.start(made.id)).state is RUNNING
        await driver.pause(made.id)
        assert (await driver.start(made.id)).state is RUNNING

    async def test_start_of_running_container_raises_already_running(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF)
        with pytest.raises(ResourceAlreadyRunningError) as caught:
            await driver.start(made.id)
        assert caught.value.metadata["allowed_verbs"] == "STOP,RESTART,PAUSE,UPDATE,RECREATE"

    async def test_start_in_restart_loop_raises_already_running(
        self, driver: DockerDriver, make: Make
    ):
        made = await make("false", restart_policy=ALWAYS)

        async def looping() -> bool:
            return (await driver.get_resource(made.id)).state is ResourceState.STARTING

        await eventually(looping, every=0.02)
        with pytest.raises(ResourceAlreadyRunningError):
            await driver.start(made.id)

    @pytest.mark.parametrize(
        "options", [StartOptions(from_snapshot="x"), StartOptions(discard_saved_state=True)]
    )
    async def test_start_with_unsupported_options_raises_capability_missing(
        self, driver: DockerDriver, make: Make, options: StartOptions
    ):
        made = await make(*DEAF, start=False)
        with pytest.raises(CapabilityMissingError):
            await driver.start(made.id, options)
        assert (await driver.get_resource(made.id)).state is STOPPED


class TestPauseAndResume:
    async def test_pause_then_resume_returns_both_states(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF)
        assert (await driver.pause(made.id)).state is PAUSED
        assert (await driver.resume(made.id)).state is RUNNING

    async def test_pause_and_resume_in_quick_succession_return_each_state(
        self, driver: DockerDriver, make: Make
    ):
        """Docker's own delayed events may make Docker take a paused container for a running one."""
        made = await make(*DEAF)
        for _ in range(10):
            assert (await driver.pause(made.id)).state is PAUSED
            assert (await driver.resume(made.id)).state is RUNNING

    async def test_pause_and_resume_in_wrong_state_raise_state_error(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF, start=False)
        for verb in (driver.pause, driver.resume):
            with pytest.raises(ResourceNotRunningError):
                await verb(made.id)
        await driver.start(made.id)
        with pytest.raises(StateError):
            await driver.resume(made.id)
        await driver.pause(made.id)
        with pytest.raises(StateError):
            await driver.pause(made.id)


class TestDelete:
    async def test_delete_of_stopped_container_removes_it(self, driver: DockerDriver, make: Make):
        made = await make(start=False)
        assert await driver.delete(made.id) == made
        with pytest.raises(ResourceNotFoundError):
            await driver.delete(made.id)

    async def test_delete_of_active_container_requires_force(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF)
        with pytest.raises(ResourceRunningError):
            await driver.delete(made.id)
        await driver.pause(made.id)
        with pytest.raises(ResourceRunningError):
            await driver.delete(made.id)
        assert (await driver.get_resource(made.id)).state is PAUSED
        assert (await driver.delete(made.id, FORCE)).id == made.id
        with pytest.raises(ResourceNotFoundError):
            await driver.get_resource(made.id)

    @pytest.mark.parametrize("lifetime", list(Lifetime))
    async def test_delete_called_concurrently_removes_once(
        self, driver: DockerDriver, make: Make, lifetime: Lifetime
    ):
        made = await make(*OBEDIENT, lifetime=lifetime)
        deletes = (driver.delete(made.id, FORCE) for _ in range(4))
        answers = await asyncio.gather(*deletes, return_exceptions=True)
        assert any(not isinstance(answer, BaseException) for answer in answers)
        for answer in answers:
            if isinstance(answer, BaseException):
                assert isinstance(answer, ResourceNotFoundError)
        assert all(each.id != made.id for each in await driver.list_resources())


class TestSummaries:
    async def test_summary_from_verb_list_and_get_is_equal(
        self, driver: DockerDriver, make: Make, token: str
    ):
        ports = tuple(
            PublishedPort(container_port=port, host_ip="127.0.0.1") for port in (80, 81, 82)
        )
        mounts = tuple(Mount(target=f"/m{n}", volume=VolumeMount()) for n in range(4))
        soon = timedelta(seconds=1)
        made = await make(*DEAF, ports=ports, mounts=mounts, stop_timeout=soon)
        for verb in (driver.pause, driver.resume, driver.restart, driver.stop, driver.start):
            answer = await verb(made.id)
            for _ in range(5):
                listed = {each.id: each for each in await driver.list_resources()}
                assert answer == listed[made.id] == await summary(driver, made.id)

    async def test_summary_of_retagged_image_keeps_first_name(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
    ):
        raw.tag(IMAGE, token, "1")
        try:
            made = await make(*DEAF, image=f"{token}:1", start=False)
            before = await summary(driver, made.id)
            raw.commit(made.id, token, "1")  # the tag now refers to another image
            assert raw.containers(all=True, filters={"id": made.id})[0]["Image"] != f"{token}:1"
            assert await summary(driver, made.id) == before
            assert before in await driver.list_resources()
            assert await driver.start(made.id) in await driver.list_resources()
            full = await driver.get_resource(made.id)
            assert full.container is not None
            assert full.container.image == f"{token}:1"
        finally:
            raw.remove_image(f"{token}:1", force=True)

    async def test_summary_of_image_retagged_before_shows_image_id(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
    ):
        raw.tag(IMAGE, token, "1")
        try:
            made = await make(*DEAF, image=f"{token}:1", start=False)
            raw.commit(made.id, token, "1")
            async with DockerDriver() as late:
                found = await summary(late, made.id)
                assert found.container is not None
                assert found.container.image == found.container.image_id
                raw.tag(IMAGE, token, "1")  # the name means the first image again
                assert await summary(late, made.id) == found
        finally:
            raw.remove_image(f"{token}:1", force=True)
