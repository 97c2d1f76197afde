"""Commands inside containers of a real engine: their bytes, their terminals, their reach."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from eventually import settled
from integration.docker.inside_containers import (
    Run,
    check_100_mb_of_input,
    check_100_mb_of_output,
    outcome,
)
from integration.docker.workloads import Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.driver import DEFAULT_URL
from proad.errors import (
    InvalidArgumentError,
    ResourceNotRunningError,
)
from proad.model import (
    CommandSpec,
    CommandStreams,
    Resource,
    TerminalSize,
)
from proad.ports import RunningCommand
from requirements import skip_or_fail

pytestmark = pytest.mark.docker

DEFAULT_SOCKET = os.environ.get("DOCKER_HOST", DEFAULT_URL).removeprefix("unix://")


async def test_command_writes_100_mb_byte_by_byte(driver: DockerDriver, box: Resource):
    await check_100_mb_of_output(driver, box.id)


async def test_command_reads_100_mb_byte_by_byte(driver: DockerDriver, box: Resource):
    await check_100_mb_of_input(driver, box.id)


async def test_command_has_environment_folder_and_user(run: Run):
    stdout, _, _ = await run(
        *("sh", "-c", "echo $A; pwd; id -u"), env={"A": "b c"}, working_dir="/etc", user="7"
    )
    assert stdout == b"b c\n/etc\n7\n"


@pytest.mark.parametrize(
    ("argv", "more", "field", "code"),
    [
        (("nosuch",), {}, "command.argv", "127"),
        (("permission denied",), {}, "command.argv", "127"),
        (("/bin/nosuch",), {}, "command.argv", "127"),
        (("/etc",), {}, "command.argv", "126"),
        (("/etc/passwd",), {}, "command.argv", "126"),
        (("true",), {"working_dir": "/nowhere"}, "command.working_dir", None),
        (("true",), {"user": "nobody-here"}, "command.user", None),
        (("true",), {"user": "0:nobody-here"}, "command.user", None),
    ],
)
@pytest.mark.parametrize(
    "streams", [CommandStreams(), CommandStreams(detach=True)], ids=["followed", "detached"]
)
async def test_command_that_cannot_begin_is_refused_with_its_field(
    run: Run,
    argv: tuple[str, ...],
    more: dict[str, str],
    field: str,
    code: str | None,
    streams: CommandStreams,
):
    with pytest.raises(InvalidArgumentError) as refused:
        await run(*argv, streams=streams, **more)
    assert [each.field for each in refused.value.violations] == [field]
    assert refused.value.metadata.get("exit_code") == code


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


async def test_command_on_a_terminal_has_its_size_without_a_further_call(
    driver: DockerDriver, box: Resource
):
    streams = CommandStreams(tty=True, stdin=True, size=TerminalSize(rows=33, columns=77))
    async with driver.start_command(box.id, CommandSpec(argv=("sh",)), streams) as command:
        await command.write(b"stty size; exit\n")
        stdout, _, _ = await outcome(command)

    assert b"33 77\r\n" in stdout


async def test_command_in_a_stopped_container_is_refused(driver: DockerDriver, make: Make):
    stopped = await make("true", start=False)
    with pytest.raises(ResourceNotRunningError):
        async with driver.start_command(stopped.id, CommandSpec(argv=("true",)), CommandStreams()):
            pass


async def test_command_that_nobody_reads_waits(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sh", "-c", "yes | dd of=/dev/stdout bs=65536 2>/dev/null"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        # Of two programs each, what pipes, the engine, sockets and a few pieces hold.
        assert await settled(lambda: _written(command)) < 16 * 2**20


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


async def test_command_out_of_reach_is_signalled_from_inside(remote: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sleep", "1000"), timeout=timedelta(hours=1))
    async with remote.start_command(box.id, spec, CommandStreams()) as made:
        assert made.can_signal
        await made.signal(signal.SIGTERM)
        assert (await outcome(made))[2].code == 128 + signal.SIGTERM
        await made.signal(signal.SIGTERM)


_ELSEWHERE = """
import asyncio, sys
from proad.drivers.docker import DockerDriver
from proad.model import CommandSpec, CommandStreams

async def main():
    async with DockerDriver(sys.argv[1]) as driver:
        for seconds in ("1000", "0"):
            spec = CommandSpec(argv=("sleep", seconds))
            async with driver.start_command(sys.argv[2], spec, CommandStreams()) as command:
                if seconds == "1000":
                    await command.signal(9)
                async for _ in command.output():
                    pass
                print(command.can_signal, (await command.exit()).code)

asyncio.run(main())
"""


async def test_command_of_an_engine_beside_our_container_is_signalled_from_inside(box: Resource):
    """As where the daemon is in a container that has the engine's socket."""
    if os.geteuid() != 0:
        skip_or_fail("it takes root to make a namespace of processes")
    ran = await asyncio.to_thread(
        subprocess.run,
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", _ELSEWHERE,
         f"unix://{DEFAULT_SOCKET}", box.id],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["True 137", "True 0"]


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
