"""All ways inside of containers whose engine is reached by TLS or by SSH."""

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from eventually import eventually, settled
from integration.docker.inside_containers import (
    check_100_mb_of_input,
    check_100_mb_of_output,
    outcome,
)
from integration.docker.remote_engines import GENEROUS, FarEngine, made
from proad.core.hosts import capabilities
from proad.drivers.docker import DockerDriver, Room
from proad.errors import (
    CapabilityMissingError,
    EngineTimedOutError,
    EngineUnreachableError,
    HostExhaustedError,
    ProaError,
)
from proad.model import (
    Capability,
    CommandSpec,
    CommandStreams,
    ConsoleOptions,
    FileRead,
    FileRemoval,
    FileWrite,
    LogOptions,
    Resource,
    TerminalSize,
)
from proad.ports import RunningCommand

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]


@pytest.fixture(scope="module")
def far() -> Iterator[FarEngine]:
    with FarEngine.running() as far:
        yield far


@pytest.fixture(params=["tls", "ssh"])
async def driver(far: FarEngine, request: pytest.FixtureRequest) -> AsyncIterator[DockerDriver]:
    async with far.driver(request.param) as driver:
        yield driver


@pytest.fixture
async def box(driver: DockerDriver) -> Resource:
    return await made(driver, "sleep", "1000")


async def test_command_has_outputs_input_and_exit_code(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sh", "-c", "cat; echo err >&2; sleep 1; echo late; exit 5"))
    async with driver.start_command(box.id, spec, CommandStreams(stdin=True)) as command:
        await command.write(b"in\n")
        await command.end_input()
        await command.end_input()
        await command.write(b"too late\n")
        stdout, stderr, exit = await outcome(command)

    assert (stdout, stderr, exit.code) == (b"in\nlate\n", b"err\n", 5)


async def test_command_on_a_terminal_has_a_size(driver: DockerDriver, box: Resource):
    streams = CommandStreams(tty=True, stdin=True)
    async with driver.start_command(box.id, CommandSpec(argv=("sh",)), streams) as command:
        await command.resize(TerminalSize(rows=33, columns=77))
        await command.write(b"stty size; exit 5\n")
        stdout, _, exit = await outcome(command)

    assert b"33 77\r\n" in stdout
    assert exit.code == 5


async def test_command_writes_100_mb_byte_by_byte(driver: DockerDriver, box: Resource):
    await check_100_mb_of_output(driver, box.id)


async def test_command_reads_100_mb_byte_by_byte(driver: DockerDriver, box: Resource):
    await check_100_mb_of_input(driver, box.id)


async def test_command_that_nobody_reads_waits(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("dd", "if=/dev/zero", "of=/dev/stdout", "bs=65536"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        # What pipes, the engine, sockets, the windows of SSH at both ends and a few pieces hold.
        assert await settled(lambda: _written(command), every=1) < 32 * 2**20


def _written(command: RunningCommand) -> int:
    """Return the bytes that a command has written."""
    io = Path(f"/proc/{command.pid}/io").read_text().splitlines()
    return int(next(line for line in io if line.startswith("wchar")).split()[1])


async def test_input_that_nobody_reads_waits(driver: DockerDriver, box: Resource):
    taken = 0
    spec = CommandSpec(argv=("sleep", "1000"))

    async def write_for_ever(command: RunningCommand) -> None:
        nonlocal taken
        while True:
            await command.write(b"x" * 65536)
            taken += 65536

    async with driver.start_command(box.id, spec, CommandStreams(stdin=True)) as command:
        writing = asyncio.create_task(write_for_ever(command))
        assert await settled(lambda: taken, every=1) < 32 * 2**20
        assert not writing.done()
        writing.cancel()


async def test_container_has_neither_ports_nor_sockets(driver: DockerDriver, box: Resource):
    with pytest.raises(CapabilityMissingError):
        async with driver.connect_port(box.id, 80):
            pass
    with pytest.raises(CapabilityMissingError, match="another host"):
        async with driver.connect_socket(box.id, "/run/app.sock"):
            pass
    assert not {Capability.PORT_FORWARDING, Capability.SOCKET_FORWARDING} & {*capabilities(driver)}


async def test_engine_by_tls_that_is_spoken_to_plainly_tells_the_way_out(far: FarEngine):
    async with DockerDriver(far.engine.tcp_url) as driver:
        for call in (driver.probe, driver.list_resources):
            with pytest.raises(EngineUnreachableError, match="docker_tls_dir") as told:
                await call()
            assert "HTTPS server" in str(told.value)  # in Docker's own words, too


async def test_streams_at_once_take_no_thread_each(
    far: FarEngine, driver: DockerDriver, box: Resource
):
    connections = len(far.ssh.clients())
    threads = threading.active_count()
    async with AsyncExitStack() as stack:
        block = [
            driver.start_command(box.id, CommandSpec(argv=("cat",)), CommandStreams(stdin=True))
            for _ in range(20)
        ]
        commands = []
        for at in range(0, 20, 5):  # a busy machine takes long for handshakes
            commands += await asyncio.gather(*map(stack.enter_async_context, block[at : at + 5]))
        assert threading.active_count() - threads <= 2 * 8 + 1  # those of its pools, and the reaper
        for number, command in enumerate(commands):
            await command.write(f"{number}\n".encode())
            await command.end_input()
        ends = await asyncio.gather(*map(outcome, commands))
        assert [stdout for stdout, _, _ in ends] == [f"{n}\n".encode() for n in range(20)]

    # The calls between them have left no more than the driver keeps.
    await eventually(lambda: len(far.ssh.clients()) - connections <= 36)


async def test_streams_by_ssh_have_places(far: FarEngine):
    spec, streams = CommandSpec(argv=("cat",)), CommandStreams(stdin=True)
    users = iter("aaaaab")
    room = Room(user=lambda: next(users))
    async with DockerDriver(far.ssh.url, room=room) as driver:
        driver._engine._places._most = 4  # type: ignore[union-attr] # without 256 processes
        box = await made(driver, "sleep", "1000")
        async with AsyncExitStack() as stack:

            async def start() -> RunningCommand:
                return await stack.enter_async_context(driver.start_command(box.id, spec, streams))

            for _ in range(2):
                await start()
            with pytest.raises(HostExhaustedError, match="2 are free and this user has 2"):
                await start()
            await stack.aclose()
            for _ in range(2):
                await start()
            await start()


async def test_streams_given_up_leave_no_process(
    far: FarEngine, driver: DockerDriver, box: Resource
):
    async with AsyncExitStack() as stack:
        for _ in range(4):
            spec = CommandSpec(argv=("sleep", "1000"))
            block = driver.start_command(box.id, spec, CommandStreams(stdin=True))
            await stack.enter_async_context(block)
        inside = len(far.ssh.clients())
    if "ssh" in driver.endpoint:
        await eventually(lambda: len(far.ssh.clients()) <= inside - 4)
    assert not [child for child in _children() if _state(child) == "Z"]


async def test_stream_takes_a_connection_that_was_kept(far: FarEngine):
    async with far.driver("ssh") as driver:
        box = await made(driver, "cat", stdin_open=True)
        kept = {*far.ssh.clients()}
        async with driver.attach(box.id, ConsoleOptions()) as console:
            # Which is not ended for a new one.
            assert kept <= {*far.ssh.clients()}
            await console.write(b"hello\n")
            assert (await anext(aiter(console.output()))).data == b"hello\n"


def _children() -> list[str]:
    return [
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


async def test_caller_is_attached_both_ways(driver: DockerDriver):
    box = await made(driver, "cat", stdin_open=True)
    async with driver.attach(box.id, ConsoleOptions()) as console:
        await console.write(b"hello\n")
        async for output in console.output():
            assert output.data == b"hello\n"
            break


async def test_log_is_read_and_followed(driver: DockerDriver):
    script = "seq 3; read a; echo $a; exit 3"
    box = await made(driver, "sh", "-c", script, stdin_open=True)
    seen = []
    async with (
        driver.read_log(box.id, LogOptions(follow=True)) as log,
        driver.attach(box.id, ConsoleOptions()) as console,
    ):
        async for lines in log:
            seen += [line.data for line in lines]
            if seen[-1:] == [b"3"]:
                await console.write(b"last\n")
    assert seen == [b"1", b"2", b"3", b"last"]
    async with driver.read_log(box.id, LogOptions(tail=2)) as log:
        assert [line.data async for lines in log for line in lines] == [b"3", b"last"]


async def test_files_are_written_read_listed_and_removed(driver: DockerDriver, box: Resource):
    data = os.urandom(5_000_000)
    async with driver.write_file(box.id, FileWrite(path="/etc/new", size_bytes=len(data))) as new:
        for start in range(0, len(data), 65536):
            await new.write(data[start : start + 65536])
        await new.commit()
    async with driver.read_file(box.id, FileRead(path="/etc/new")) as reader:
        assert b"".join([piece async for piece in reader.data()]) == data
    assert "new" in [file.name async for file in driver.list_files(box.id, "/etc")]
    await driver.remove_file(box.id, FileRemoval(path="/etc/new"))
    with pytest.raises(ProaError):
        await driver.stat_file(box.id, "/etc/new")


async def test_stats_of_many_are_sampled(driver: DockerDriver):
    boxes = await asyncio.gather(*(made(driver, "sleep", "1000") for _ in range(12)))
    assert len(await driver.stats([box.id for box in boxes])) == 12


async def test_stream_ends_with_its_ssh_process(far: FarEngine):
    async def end_all() -> None:
        killed = {*far.ssh.clients()}
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: killed.isdisjoint(far.ssh.clients()))

    async def broken_off(output: AsyncIterator[object]) -> None:
        await end_all()
        with pytest.raises(EngineUnreachableError, match="broken off"):
            await asyncio.wait_for(anext(output), GENEROUS)

    async with far.driver("ssh") as driver:
        box = await made(driver, "sleep", "1000")
        spec = CommandSpec(argv=("sleep", "1000"))
        for tty in (False, True):
            streams = CommandStreams(tty=tty, stdin=True)
            async with driver.start_command(box.id, spec, streams) as command:
                await broken_off(command.output())
        async with driver.attach(box.id, ConsoleOptions()) as console:
            await broken_off(console.output())
        async with driver.read_log(box.id, LogOptions(follow=True)) as log:
            await broken_off(aiter(log))


async def test_end_of_a_command_that_takes_no_input_is_no_loss(driver: DockerDriver, box: Resource):
    spec = CommandSpec(argv=("sh", "-c", "head -c 1; exit 4"))
    async with driver.start_command(box.id, spec, CommandStreams(stdin=True)) as command:
        await command.write(b"x" * 5_000_000)
        stdout, _, exit = await asyncio.wait_for(outcome(command), GENEROUS)
    assert (stdout, exit.code) == (b"x", 4)


async def test_streams_end_with_their_engine(far: FarEngine, driver: DockerDriver, box: Resource):
    async with (
        driver.start_command(box.id, CommandSpec(argv=("sleep", "9")), CommandStreams()) as command,
        driver.read_log(box.id, LogOptions(follow=True)) as log,
    ):
        far.engine.signal(signal.SIGKILL)
        try:
            with pytest.raises((EngineUnreachableError, EngineTimedOutError)):
                await asyncio.wait_for(outcome(command), GENEROUS)
            with pytest.raises(EngineUnreachableError):
                await asyncio.wait_for(anext(aiter(log)), GENEROUS)
        finally:
            far.engine.start()
            await far.ready()


async def test_reason_why_there_is_no_connection_by_ssh_is_told(
    far: FarEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    async with DockerDriver(far.ssh.url.replace("root@", "nobody@")) as driver:
        with pytest.raises(EngineUnreachableError, match="Permission denied"):
            await driver.probe()
    monkeypatch.setenv("PATH", str(tmp_path))
    async with far.driver("ssh") as driver:
        with pytest.raises(EngineUnreachableError, match="ssh is not installed"):
            await driver.probe()
