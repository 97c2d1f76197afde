"""Commands inside containers of a real engine: their bytes, their signals, their ends."""

import asyncio
import hashlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from eventually import eventually
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.driver import DEFAULT_URL
from proad.drivers.docker.running_command import ContainerCommand
from proad.drivers.docker.timing import CommandTiming, DockerTiming
from proad.errors import (
    CapabilityMissingError,
    InvalidArgumentError,
    ProaError,
    ResourceNotRunningError,
)
from proad.model import (
    CommandExit,
    CommandSpec,
    CommandStreams,
    ContainerSpec,
    NetworkAttachment,
    Resource,
    TerminalSize,
)
from proad.ports import RunningCommand

pytestmark = pytest.mark.docker

DEFAULT_SOCKET = os.environ.get("DOCKER_HOST", DEFAULT_URL).removeprefix("unix://")

MANY = 100_000_000
Run = Callable[..., Coroutine[Any, Any, tuple[bytes, bytes, CommandExit]]]


@pytest.fixture
async def box(make: Make) -> Resource:
    return await make("sleep", "1000")


async def outcome(command: RunningCommand) -> tuple[bytes, bytes, CommandExit]:
    """Return all that a command writes from now on, and how it ends."""
    said = {False: bytearray(), True: bytearray()}
    async for output in command.output():
        said[output.is_stderr] += output.data
    return bytes(said[False]), bytes(said[True]), await command.exit()


@pytest.fixture
def run(driver: DockerDriver, box: Resource) -> Run:
    """Run a command in the box to its end; return its outputs and its exit."""

    async def running(
        *argv: str, streams: CommandStreams = CommandStreams(), **spec: Any
    ) -> tuple[bytes, bytes, CommandExit]:
        wanted = CommandSpec(argv=argv, **spec)
        async with driver.start_command(box.id, wanted, streams) as command:
            return await outcome(command)

    return running


def gone(pid: int) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def is_gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    return is_gone


async def test_command_writes_100_mb_byte_by_byte(driver: DockerDriver, box: Resource):
    digest, count = hashlib.sha256(), 0
    script = f"head -c {MANY} /dev/zero | tr '\\0' 'x'"
    spec = CommandSpec(argv=("sh", "-c", script))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        async for output in command.output():
            digest.update(output.data)
            count += len(output.data)
        assert (await command.exit()).code == 0

    assert count == MANY
    assert digest.hexdigest() == hashlib.sha256(b"x" * MANY).hexdigest()


async def test_command_reads_100_mb_byte_by_byte(driver: DockerDriver, box: Resource):
    block = os.urandom(50_000)
    expected = hashlib.sha256()
    spec = CommandSpec(argv=("sha256sum",))
    async with driver.start_command(box.id, spec, CommandStreams(stdin=True)) as command:
        for _ in range(MANY // len(block)):
            await command.write(block)
            expected.update(block)
        await command.end_input()
        stdout, _, exit = await outcome(command)

    assert exit.code == 0
    assert stdout.split()[0].decode() == expected.hexdigest()


async def test_command_has_environment_folder_and_user(run: Run):
    stdout, _, _ = await run(
        *("sh", "-c", "echo $A; pwd; id -u"), env={"A": "b c"}, working_dir="/etc", user="7"
    )
    assert stdout == b"b c\n/etc\n7\n"


@pytest.mark.parametrize(
    ("argv", "more", "field"),
    [
        (("nosuch",), {}, "command.argv"),
        (("/etc",), {}, "command.argv"),
        (("/etc/passwd",), {}, "command.argv"),
        (("true",), {"working_dir": "/nowhere"}, "command.working_dir"),
        (("true",), {"user": "nobody-here"}, "command.user"),
        (("true",), {"user": "0:nobody-here"}, "command.user"),
    ],
)
@pytest.mark.parametrize(
    "streams", [CommandStreams(), CommandStreams(detach=True)], ids=["followed", "detached"]
)
async def test_command_that_cannot_begin_is_refused_with_its_field(
    run: Run, argv: tuple[str, ...], more: dict[str, str], field: str, streams: CommandStreams
):
    with pytest.raises(InvalidArgumentError) as refused:
        await run(*argv, streams=streams, **more)
    assert [each.field for each in refused.value.violations] == [field]


async def test_command_ended_by_itself_tells_its_signal_by_the_code(run: Run):
    assert (await run("sh", "-c", "kill -TERM $$"))[2].code == 128 + signal.SIGTERM


async def test_command_signal_reaches_the_whole_group(driver: DockerDriver, box: Resource):
    tree = CommandSpec(argv=("sh", "-c", "sleep 1000 & sleep 1000 & wait"))
    async with driver.start_command(box.id, tree, CommandStreams()) as command:
        await eventually(two_children(command.pid))
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        await command.signal(signal.SIGTERM)
        assert (await command.exit()).code == 128 + signal.SIGTERM
    for child in children:
        await eventually(gone(int(child)))


def two_children(pid: int) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def has() -> bool:
        return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) == 2

    return has


async def test_command_is_killed_with_its_block(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sh", "-c", "trap '' TERM HUP; sleep 1000"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        pid = command.pid
        assert not await gone(pid)()
    await eventually(gone(pid))


async def test_command_is_killed_though_its_start_is_cancelled(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    async def start() -> None:
        spec = CommandSpec(argv=("sleep", "1000"))
        async with driver.start_command(box.id, spec, CommandStreams()):
            await asyncio.Event().wait()

    for pause in (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1):
        task = asyncio.ensure_future(start())
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait({task})

    async def only_the_first() -> bool:
        return len(raw.top(box.id)["Processes"]) == 1

    await eventually(only_the_first)


# The runtime reads the users of a container, which begins no command until it got a signal.
_SLOW_TO_BEGIN = (
    "mkfifo /users && mv /users /etc/passwd; trap 'while :; do : > /etc/passwd; done' USR1;"
    " echo ready; while :; do sleep 0.1; done"
)


async def test_command_that_begins_long_after_it_was_given_up_is_killed(
    make: Make, raw: docker.APIClient
):
    slow = await make("sh", "-c", _SLOW_TO_BEGIN)
    await eventually(says_ready(raw, slow))
    timing = DockerTiming(command=CommandTiming(begin=timedelta(seconds=0.2)))
    async with DockerDriver(timing=timing) as driver:

        async def start() -> None:
            spec = CommandSpec(argv=("sh", "-c", "echo > /begun; sleep 1000"))
            async with driver.start_command(slow.id, spec, CommandStreams()):
                raise AssertionError("it began")

        task = asyncio.ensure_future(start())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        os.kill(_pid(slow), signal.SIGUSR1)  # not by the engine, which waits for the runtime

        async def begun() -> bool:
            with suppress(NotFound):
                raw.get_archive(slow.id, "/begun")
                return True
            return False

        async def over() -> bool:
            return not any("1000" in row[-1] for row in raw.top(slow.id)["Processes"])

        await eventually(begun)
        await eventually(over)


def says_ready(raw: docker.APIClient, box: Resource) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def ready() -> bool:
        return b"ready" in raw.logs(box.id)

    return ready


async def test_commands_that_wait_to_begin_hold_up_no_other_container(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    hung, other = await make("sh", "-c", _SLOW_TO_BEGIN), await make("sleep", "1000")
    await eventually(says_ready(raw, hung))

    async def start(box: Resource) -> None:
        async with driver.start_command(
            box.id, CommandSpec(argv=("true",)), CommandStreams()
        ) as it:
            await outcome(it)

    tasks = [asyncio.ensure_future(start(hung)) for _ in range(30)]
    try:
        await asyncio.sleep(1)
        await asyncio.wait_for(start(other), 10)
        assert not any(task.done() for task in tasks)
    finally:
        os.kill(_pid(hung), signal.SIGUSR1)  # not by the engine, which waits for the runtime
    await asyncio.wait_for(asyncio.gather(*tasks), 60)


async def test_command_begins_while_pulls_wait_for_a_silent_registry(
    driver: DockerDriver, box: Resource
):
    silent: list[asyncio.StreamWriter] = []

    def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    async def pull(port: int) -> None:
        async for _ in driver.pull_image(f"127.0.0.1:{port}/silent:1"):
            pass

    async def start() -> None:
        async with driver.start_command(
            box.id, CommandSpec(argv=("true",)), CommandStreams()
        ) as it:
            await outcome(it)

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as registry:
        port = registry.sockets[0].getsockname()[1]
        pulls = [asyncio.ensure_future(pull(port)) for _ in range(12)]
        try:
            await asyncio.sleep(1)
            assert not any(each.done() for each in pulls)
            await asyncio.wait_for(start(), 10)
        finally:
            for each in pulls:
                each.cancel()
            await asyncio.wait(pulls)
            for writer in silent:
                writer.close()


def _pid(box: Resource) -> int:
    assert box.container is not None
    return box.container.pid


async def test_command_detached_goes_on(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sleep", "1000"))
    async with driver.start_command(box.id, spec, CommandStreams(detach=True)) as command:
        pid = command.pid
    assert not await gone(pid)()
    os.kill(pid, signal.SIGKILL)


async def test_command_input_after_its_end_is_dropped(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("cat",))
    async with driver.start_command(box.id, spec, CommandStreams(stdin=True)) as command:
        await command.write(b"before")
        await command.end_input()
        await command.write(b"after")
        await command.end_input()
        stdout, _, exit = await outcome(command)

    assert (stdout, exit.code) == (b"before", 0)


async def test_command_on_a_terminal_has_one_output_and_a_size(driver: DockerDriver, box: Resource):
    size = TerminalSize(rows=33, columns=77)
    streams = CommandStreams(tty=True, stdin=True)
    async with driver.start_command(box.id, CommandSpec(argv=("sh",)), streams) as command:
        await command.resize(size)
        await command.write(b"stty size; echo err >&2; exit 5\n")
        stdout, stderr, exit = await outcome(command)

    assert b"33 77\r\n" in stdout
    assert b"err\r\n" in stdout
    assert (stderr, exit.code) == (b"", 5)


async def test_command_ends_though_its_child_holds_the_output(run: Run):
    stdout, _, exit = await run("sh", "-c", "sleep 1000 & echo done")
    assert (stdout, exit.code) == (b"done\n", 0)


async def test_command_ends_with_its_container(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    spec = CommandSpec(argv=("sleep", "1000"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        raw.kill(box.id)
        assert (await outcome(command))[2].code == 128 + signal.SIGKILL


async def test_command_of_a_removed_container_ends_with_an_error(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    spec = CommandSpec(argv=("sleep", "1000"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        raw.remove_container(box.id, force=True)
        with pytest.raises(ProaError):
            await outcome(command)


async def test_command_in_a_stopped_container_is_refused(driver: DockerDriver, make: Make):
    stopped = await make("true", start=False)
    with pytest.raises(ResourceNotRunningError):
        async with driver.start_command(stopped.id, CommandSpec(argv=("true",)), CommandStreams()):
            pass


async def test_command_that_nobody_reads_waits(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sh", "-c", "yes | dd of=/dev/stdout bs=65536 2>/dev/null"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        written = Path(f"/proc/{command.pid}/io")

        async def stands_still() -> bool:
            before = _written(command)
            await asyncio.sleep(0.3)
            return before == _written(command) and before > 0

        assert written.exists()
        await eventually(stands_still)
        assert _written(command) < 4 * 2**20  # pipes, sockets and a few pieces


def _written(command: RunningCommand) -> int:
    """Return the bytes that the processes of a command have written."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    total = 0
    for pid in children:
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            name, _, value = line.partition(": ")
            total += int(value) if name == "wchar" else 0
    return total


async def test_commands_at_once_take_no_thread_each(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("cat",))
    threads = threading.active_count()
    async with AsyncExitStack() as stack:
        commands = []
        for _ in range(50):
            block = driver.start_command(box.id, spec, CommandStreams(stdin=True))
            commands.append(await stack.enter_async_context(block))
        assert threading.active_count() - threads <= 2 * 8  # those of its pools
        for number, command in enumerate(commands):
            await command.write(f"{number}\n".encode())
            await command.end_input()
        for number, command in enumerate(commands):
            stdout, _, exit = await outcome(command)
            assert (stdout, exit.code) == (f"{number}\n".encode(), 0)


@pytest.fixture
async def remote(raw: docker.APIClient) -> AsyncIterator[DockerDriver]:
    """A driver that reaches the engine by TCP, as on another host."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(DEFAULT_SOCKET)
        try:
            await asyncio.gather(pass_on(reader, engine_writer), pass_on(engine_reader, writer))
        finally:
            writer.close()
            engine_writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with DockerDriver(f"tcp://127.0.0.1:{port}") as driver:
            yield driver


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(2**16):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def test_command_out_of_reach_has_no_timeout_and_no_signals(
    remote: DockerDriver, box: Resource
):
    with pytest.raises(CapabilityMissingError):
        async with remote.start_command(
            box.id, CommandSpec(argv=("true",), timeout=timedelta(seconds=1)), CommandStreams()
        ):
            pass
    async with remote.start_command(box.id, CommandSpec(argv=("true",)), CommandStreams()) as made:
        assert not made.can_signal
        with pytest.raises(CapabilityMissingError):
            await made.signal(signal.SIGTERM)
        assert (await outcome(made))[2].code == 0


async def test_command_of_a_killed_engine_ends_with_an_error(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url) as driver:
        await eventually(partial(engine.answers, driver), within=60)
        await engine.import_image()
        made = await driver.create_container(
            ContainerSpec(
                image=IMAGE,
                command=("sleep", "1000"),
                networks=(NetworkAttachment(network="none"),),
            ),
            start=True,
        )
        spec = CommandSpec(argv=("sleep", "1000"))
        async with driver.start_command(made.resource.id, spec, CommandStreams()) as command:
            assert isinstance(command, ContainerCommand)
            engine.signal(signal.SIGKILL)
            with pytest.raises(ProaError):
                await outcome(command)


async def test_command_on_a_terminal_gets_every_key(driver: DockerDriver, box: Resource):
    streams = CommandStreams(tty=True, stdin=True)
    argv = ("sh", "-c", "stty raw -echo; echo ready; head -c 4 | od -An -tx1")
    async with driver.start_command(box.id, CommandSpec(argv=argv), streams) as command:
        async for output in command.output():
            if b"ready" in output.data:
                break
        await command.write(b"\x10\x11\x10\x11")  # with which docker exec detaches
        stdout, _, exit = await outcome(command)

    assert (stdout.split(), exit.code) == ([b"10", b"11", b"10", b"11"], 0)
