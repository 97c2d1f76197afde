"""How commands inside containers of a real engine begin and end, whoever ends them."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from eventually import eventually
from integration.docker.inside_containers import Run, gone, outcome
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.process_group import is_of_container
from proad.drivers.docker.running_command import ContainerCommand
from proad.drivers.docker.timing import CommandTiming, DockerTiming
from proad.errors import EngineConflictError, ProaError
from proad.model import (
    CommandSpec,
    CommandStreams,
    ContainerSpec,
    NetworkAttachment,
    Resource,
)

pytestmark = pytest.mark.docker


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
    spec = CommandSpec(argv=("sleep", "1000"))
    for patience in (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1):
        with pytest.raises(TimeoutError):
            async with (
                asyncio.timeout(patience),
                driver.start_command(box.id, spec, CommandStreams()),
            ):
                await asyncio.Event().wait()

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
        await eventually(begins(slow))
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


def begins(box: Resource) -> Callable[[], bool]:
    """Return whether the runtime is at the beginning of a command in a container.

    The engine, which waits for the runtime, answers no question about it.
    """

    def found() -> bool:
        return any(
            is_of_container(int(each.name), box.id)
            for each in Path("/proc").iterdir()
            if each.name.isdigit() and _command_line(each).startswith(b"runc\0init")
        )

    return found


def _command_line(process: Path) -> bytes:
    with suppress(OSError):  # it has ended
        return (process / "cmdline").read_bytes()
    return b""


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
        await eventually(begins(hung))
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

    async def pull(port: int, number: int) -> None:
        async for _ in driver.pull_image(f"127.0.0.1:{port}/silent:{number}"):
            pass

    async def start() -> None:
        async with driver.start_command(
            box.id, CommandSpec(argv=("true",)), CommandStreams()
        ) as it:
            await outcome(it)

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as registry:
        port = registry.sockets[0].getsockname()[1]
        pulls = [asyncio.ensure_future(pull(port, number)) for number in range(12)]
        try:
            await eventually(lambda: len(silent) >= 8)  # as many pulls as go on at once
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


async def test_command_whose_end_the_engine_never_notes_ends_with_an_error(
    engine: PrivateEngine, folder: Path
):
    """As where it has lost its runtime."""
    engine.start()
    async with DockerDriver(engine.url, timeout=timedelta(seconds=20)) as driver:
        box = await _box_of(engine, driver)
    containerd = int((folder / "exec/containerd/containerd.pid").read_text())
    async with DockerDriver(engine.url, timeout=timedelta(seconds=2)) as driver:
        spec = CommandSpec(argv=("sleep", "1"))
        async with driver.start_command(box.id, spec, CommandStreams()) as command:
            os.kill(containerd, signal.SIGSTOP)
            try:
                with pytest.raises(EngineConflictError, match="how the command ended"):
                    await asyncio.wait_for(outcome(command), 30)
            finally:
                os.kill(containerd, signal.SIGCONT)


async def _box_of(engine: PrivateEngine, driver: DockerDriver) -> Resource:
    await eventually(partial(engine.answers, driver), within=60)
    await engine.import_image()
    spec = ContainerSpec(
        image=IMAGE, command=("sleep", "1000"), networks=(NetworkAttachment(network="none"),)
    )
    return (await driver.create_container(spec, start=True)).resource


async def test_command_of_a_killed_engine_ends_with_an_error(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url) as driver:
        box = await _box_of(engine, driver)
        spec = CommandSpec(argv=("sleep", "1000"))
        async with driver.start_command(box.id, spec, CommandStreams()) as command:
            assert isinstance(command, ContainerCommand)
            engine.signal(signal.SIGKILL)
            with pytest.raises(ProaError):
                await outcome(command)
