"""Signals, timeouts and ends of commands whose engine is elsewhere: the container's own shell sends them."""

import asyncio
import io
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound
from structlog.testing import capture_logs

from contract.commands import CommandEndsContract, CommandsContract
from contract.docker_harness import DockerHarness
from contract.harness import DriverHarness
from eventually import eventually
from integration.docker.inside_containers import gone, outcome
from integration.docker.remote_engines import GENEROUS, FarEngine, made
from proad.core.command_operations import LimitedCommand
from proad.drivers.docker import DockerDriver, marked_group
from proad.drivers.docker.timing import CommandTiming, DockerTiming, SignalTiming
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineUnreachableError,
    InvalidArgumentError,
    ResourceNotRunningError,
)
from proad.model import CommandSpec, CommandStreams, Resource, StopMode, StopOptions
from proad.ports import RunningCommand

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

HURRIED = DockerTiming(
    command=CommandTiming(
        signal=SignalTiming(
            shell=timedelta(seconds=2),
            leave=timedelta(seconds=2),
            retry=timedelta(milliseconds=50),
            longest_retry=timedelta(milliseconds=100),
        )
    )
)
LONG = ("sleep", "1000")
DEAF = ("sh", "-c", "trap '' TERM INT HUP; sleep 1000 & sleep 1000; sleep 1000")


@pytest.fixture(scope="module")
def far() -> Iterator[FarEngine]:
    with FarEngine.running("--live-restore") as far:
        yield far


@pytest.fixture(params=["tls", "ssh"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def driver(far: FarEngine, way: str) -> AsyncIterator[DockerDriver]:
    async with far.driver(way) as driver:
        yield driver


@pytest.fixture
async def hurried(far: FarEngine) -> AsyncIterator[DockerDriver]:
    """A driver that gives up what a container holds up after two seconds."""
    async with far.driver("tls", timing=HURRIED) as driver:
        yield driver


@pytest.fixture
def raw(far: FarEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(far.engine.url, version="auto")
    yield client
    client.close()


@pytest.fixture
async def box(far: FarEngine, raw: docker.APIClient) -> AsyncIterator[Resource]:
    async with DockerDriver(far.engine.url) as near:
        box = await made(near, *LONG)
    yield box
    with suppress(NotFound):  # the engine would leave it to the host, frozen even
        await asyncio.to_thread(raw.remove_container, box.id, force=True)


@asynccontextmanager
async def begun(
    driver: DockerDriver, box: Resource, *argv: str, **how: Any
) -> AsyncIterator[RunningCommand]:
    spec = CommandSpec(argv=argv or LONG, **how)
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        yield command


def alone(raw: docker.APIClient, box: Resource) -> Callable[[], Coroutine[Any, Any, bool]]:
    """Return a check that nothing but its main process runs in a container."""

    async def is_alone() -> bool:
        return len((await asyncio.to_thread(raw.top, box.id))["Processes"]) == 1

    return is_alone


async def in_shell(raw: docker.APIClient, box: Resource, script: str) -> None:
    """Run a script in a container as root, past the driver."""

    def run() -> None:
        argv = ["/bin/busybox", "sh", "-c", script]
        id = raw.exec_create(box.id, argv, user="root")["Id"]
        raw.exec_start(id)
        assert raw.exec_inspect(id)["ExitCode"] == 0

    await asyncio.to_thread(run)


class TestRemoteCommands(CommandsContract, CommandEndsContract):
    @pytest.fixture
    async def harness(self, far: FarEngine, way: str) -> AsyncIterator[DriverHarness]:
        async with DockerHarness.open(far.driver(way)) as harness:
            yield harness


@pytest.mark.parametrize("user", ["", "nobody", "1234:99"])
async def test_command_is_signalled_and_killed_as_its_user(
    driver: DockerDriver, box: Resource, raw: docker.APIClient, user: str
):
    async with begun(driver, box, user=user) as command:
        await command.signal(signal.SIGINT)
        assert (await outcome(command))[2].code == 128 + signal.SIGINT
    async with begun(driver, box, *DEAF, user=user) as command:
        await command.signal(signal.SIGTERM)
        await command.signal(signal.SIGKILL)
        assert await gone(command.pid)()
        assert (await outcome(command))[2].code == 128 + signal.SIGKILL
    async with begun(driver, box, *DEAF, user=user):
        assert not await alone(raw, box)()
    await eventually(alone(raw, box))


async def test_timeout_kills_the_group(driver: DockerDriver, box: Resource, raw: docker.APIClient):
    async with begun(driver, box, *DEAF, timeout=timedelta(seconds=1)) as command:
        limited = LimitedCommand(command)
        await limited.kill_after(timedelta(seconds=1))
        assert (await outcome(command))[2].code == 128 + signal.SIGKILL
        assert (await limited.exit()).timed_out
    await eventually(alone(raw, box))


async def test_what_leaves_the_session_goes_on_as_on_a_local_engine(
    driver: DockerDriver, box: Resource
):
    script = "setsid sleep 1000 & setsid sleep 1001 >/dev/null & sleep 1000"
    async with begun(driver, box, "sh", "-c", script) as command:
        other = await eventually_children(command.pid)
        await command.signal(signal.SIGKILL)
        assert await gone(command.pid)()
    assert not any([await gone(pid)() for pid in other])


async def eventually_children(pid: int) -> list[int]:
    """Return those of a shell's children that have a session of their own, once there are two."""
    found: list[int] = []

    def has_two() -> bool:
        with suppress(FileNotFoundError):
            look()
        return len(found) == 2

    def look() -> None:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        stats = {int(each): Path(f"/proc/{each}/stat").read_text().split() for each in children}
        found[:] = [each for each, stat in stats.items() if stat[5] == str(each)]

    await eventually(has_two)
    return found


async def test_commands_left_at_once_are_killed(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    async with AsyncExitStack() as stack:
        for _ in range(12):
            await stack.enter_async_context(begun(driver, box))
    await eventually(alone(raw, box), within=10)


async def test_command_without_its_mark_is_told_to_go_on(hurried: DockerDriver, box: Resource):
    with capture_logs() as logs:
        async with begun(hurried, box, "env", "-i", "/bin/sleep", "1000") as command:
            await eventually(partial(_is_named, command.pid, "sleep"))
            for number in (signal.SIGTERM, signal.SIGKILL):
                with pytest.raises(CapabilityMissingError, match="go on"):
                    await command.signal(number)
            pid = command.pid
        await eventually(lambda: any(log["event"] == "command left in container" for log in logs))
    assert not await gone(pid)()


def _is_named(pid: int, name: str) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == name


async def test_container_without_a_shell_has_no_timeouts(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    await in_shell(raw, box, "rm /bin/sh")
    with pytest.raises(CapabilityMissingError, match="no POSIX shell"):
        async with begun(driver, box, "touch", "/began", timeout=timedelta(hours=1)):
            pass
    async with begun(driver, box, "ls", "/") as command:
        assert not command.can_signal
        with pytest.raises(CapabilityMissingError):
            await command.signal(signal.SIGTERM)
        stdout, _, exit = await outcome(command)
    assert (b"began" in stdout, exit.code) == (False, 0)


async def test_user_whom_the_container_does_not_know_is_no_missing_capability(
    driver: DockerDriver, box: Resource
):
    with pytest.raises(InvalidArgumentError, match="unable to find user stranger") as refused:
        async with begun(driver, box, user="stranger", timeout=timedelta(hours=1)):
            pass
    assert [each.field for each in refused.value.violations] == ["command.user"]


async def test_timeout_in_a_container_that_does_not_run_is_no_missing_capability(
    driver: DockerDriver, box: Resource
):
    await driver.stop(box.id, StopOptions(mode=StopMode.FORCE))
    with pytest.raises(ResourceNotRunningError):
        async with begun(driver, box, timeout=timedelta(hours=1)):
            pass


LIARS = {
    "says that it has done it": "#!/bin/true\n",
    "says that it has found nothing": "#!/bin/busybox sh\nexit 92\n",
    "does not end": "#!/bin/busybox sh\nexec /bin/sleep 1000\n",
    "writes without an end": "#!/bin/busybox yes\n",
}


@pytest.mark.parametrize("liar", LIARS.values(), ids=LIARS)
async def test_shell_that_lies_is_not_believed(
    hurried: DockerDriver, box: Resource, raw: docker.APIClient, liar: str
):
    async with begun(hurried, box) as command:
        assert command.can_signal
        await in_shell(raw, box, f"printf '{liar}' >/tmp/sh; chmod +x /tmp/sh; mv /tmp/sh /bin/sh")
        for _ in range(2):
            with pytest.raises(CapabilityMissingError, match="go on"):
                await asyncio.wait_for(command.signal(signal.SIGKILL), GENEROUS)
        # Those that do not end take the few places that a container has for them.
        assert len(_shells(raw, box)) <= 4


def _shells(raw: docker.APIClient, box: Resource) -> list[list[str]]:
    rows = raw.top(box.id)["Processes"]
    return [row for row in rows if "PROA_COMMAND_ID" in row[-1]]


async def test_hostile_names_and_environments_lead_to_no_other_process(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    """A process that looks like a command, and one that copies the mark, are left alone."""
    fake = "printf ') S 0 1 1\n' >/proc/self/comm; sleep 1000 & wait"
    script = 'eval "$FAKE" & setsid sh -c "$FAKE" & wait'
    async with begun(driver, box, "sh", "-c", script, env={"FAKE": fake}) as command:
        await eventually(lambda: len(raw.top(box.id)["Processes"]) == 6)
        await command.signal(signal.SIGKILL)
        assert await gone(command.pid)()
    # Its main process, and what has a session of its own.
    await eventually(lambda: len(raw.top(box.id)["Processes"]) == 3)


async def test_main_process_that_copies_a_mark_has_nobody_else_killed(
    driver: DockerDriver, far: FarEngine, raw: docker.APIClient
):
    copy = "until [ -s /tmp/mark ]; do sleep 0.1; done; exec env $(cat /tmp/mark) sleep 1000"
    async with DockerDriver(far.engine.url) as near:
        box = await made(near, "sh", "-c", copy)
    try:
        told = "env | grep PROA_COMMAND_ID >/tmp/new; mv /tmp/new /tmp/mark; exec sleep 1000"
        async with begun(driver, box) as other, begun(driver, box, "sh", "-c", told) as command:
            await eventually(lambda: raw.top(box.id)["Processes"][0][-1] == "sleep 1000")
            await command.signal(signal.SIGKILL)
            assert (await outcome(command))[2].code == 128 + signal.SIGKILL
            await other.signal(signal.SIGINT)
            assert (await outcome(other))[2].code == 128 + signal.SIGINT
    finally:
        await asyncio.to_thread(raw.remove_container, box.id, force=True)


async def test_command_of_a_paused_container_is_killed_when_that_is_resumed(
    hurried: DockerDriver, box: Resource, raw: docker.APIClient
):
    async with begun(hurried, box) as command, begun(hurried, box):
        await hurried.pause(box.id)
        signalled = asyncio.ensure_future(command.signal(signal.SIGKILL))
        done, _ = await asyncio.wait({signalled}, timeout=1)
        assert not done
        signalled.cancel()
    assert len(raw.top(box.id)["Processes"]) == 3
    await hurried.resume(box.id)
    await eventually(alone(raw, box))


async def test_commands_that_are_left_are_no_more_than_can_be_kept(
    hurried: DockerDriver, box: Resource, monkeypatch: pytest.MonkeyPatch
):
    """Each of them is asked about until its container is resumed."""
    monkeypatch.setattr(marked_group, "_MOST_LEFT", 2)
    async with begun(hurried, box), begun(hurried, box):
        await hurried.pause(box.id)
    with pytest.raises(EngineConflictError, match="2 commands in the container that were left"):
        await begun(hurried, box).__aenter__()
    await hurried.resume(box.id)
    await eventually(lambda: not hurried._commands._marked._endings)
    assert not hurried._commands._marked._left
    async with begun(hurried, box):
        pass


async def test_command_of_a_container_that_is_removed_is_given_up(
    hurried: DockerDriver, box: Resource, raw: docker.APIClient
):
    with capture_logs() as logs:
        async with begun(hurried, box), begun(hurried, box):
            await hurried.pause(box.id)
            await asyncio.to_thread(raw.remove_container, box.id, force=True)
        await eventually(lambda: not hurried._commands._marked._endings)
    assert logs == []


async def test_command_left_while_its_engine_is_away_is_killed_afterwards(
    far: FarEngine, hurried: DockerDriver, box: Resource, raw: docker.APIClient
):
    """The engine that is started anew lets it run, and does not know it any more."""
    async with begun(hurried, box) as command:
        far.engine.signal(signal.SIGKILL)
        with pytest.raises(EngineUnreachableError):
            await asyncio.wait_for(outcome(command), GENEROUS)
        assert not await gone(command.pid)()
    far.engine.start()
    await far.ready()
    await eventually(gone(command.pid))
    await eventually(alone(raw, box))


async def test_driver_that_closes_tells_what_it_leaves(far: FarEngine, box: Resource):
    with capture_logs() as logs:
        async with far.driver("tls", timing=HURRIED) as driver, begun(driver, box) as command:
            await driver.pause(box.id)
    assert [(log["event"], log["pid"]) for log in logs] == [
        ("command left in container", command.pid)
    ]


@pytest.mark.parametrize("shell", ["dash", "bash"])
async def test_shells_of_others_send_signals(
    hurried: DockerDriver, box: Resource, raw: docker.APIClient, shell: str
):
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"this host has no {shell}")
    raw.put_archive(box.id, "/", _with_libraries(program, "bin/sh"))
    for user in ("", "nobody"):
        async with begun(hurried, box, timeout=timedelta(hours=1), user=user) as command:
            await command.signal(signal.SIGTERM)
            assert (await outcome(command))[2].code == 128 + signal.SIGTERM


def _with_libraries(program: str, name: str) -> bytes:
    """Return an archive with a program by another name, and what it is linked to."""
    linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        archive.add(Path(program).resolve(), name)
        for path in re.findall(r"(/[^ ]+) \(", linked):
            archive.add(path, path.lstrip("/"))
    return buffer.getvalue()
