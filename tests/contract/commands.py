"""Obligations of `Commands`."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

import pytest

from contract.harness import DriverHarness
from eventually import eventually
from proad.errors import InvalidArgumentError, ResourceNotRunningError, StateError
from proad.model import CommandExit, CommandSpec, CommandStreams, Resource
from proad.ports import Commands

LONG = "4321"
FOR_LONG = ("sleep", LONG)


@dataclass(frozen=True)
class Result:
    exit: CommandExit
    stdout: bytes
    stderr: bytes


def commands_of(harness: DriverHarness) -> Commands:
    assert isinstance(harness.driver, Commands)
    return harness.driver


def begin(harness: DriverHarness, resource: Resource, *argv: str, **how: Any):
    """Return the block of a command; what `CommandStreams` has not is of the specification."""
    streams = {name: how.pop(name) for name in tuple(how) if name in {"input", "detach"}}
    spec = CommandSpec(argv=argv, **how)
    return commands_of(harness).start_command(resource.id, spec, CommandStreams(**streams))


async def run(harness: DriverHarness, resource: Resource, *argv: str, **how: Any) -> Result:
    async with begin(harness, resource, *argv, **how) as command:
        return await result_of(command)


async def variables(harness: DriverHarness, resource: Resource, **how: Any) -> list[bytes]:
    """Return the environment of a command, but for what the driver knows the command by."""
    lines = (await run(harness, resource, "env", **how)).stdout.splitlines()
    return [line for line in lines if not line.startswith(b"PROA_COMMAND_ID=")]


async def result_of(command: Any) -> Result:
    said: Mapping[bool, bytearray] = {False: bytearray(), True: bytearray()}
    async for piece in command.output():
        assert len(piece.data) <= 64 * 2**10
        said[piece.is_stderr] += piece.data
    return Result(await command.exit(), bytes(said[False]), bytes(said[True]))


def ended_by(exit: CommandExit, number: Signals) -> bool:
    """Return whether a signal ended a command, as far as the engine tells."""
    return exit in {CommandExit(code=128 + number), CommandExit(signal=number.name)}


class CommandsContract:
    async def test_command_has_exit_code_and_both_outputs(self, harness: DriverHarness):
        resource = await harness.running()
        script = "echo out; echo err >&2; exit 3"
        result = await run(harness, resource, "sh", "-c", script)
        assert result == Result(CommandExit(code=3), b"out\n", b"err\n")
        assert await run(harness, resource, "true") == Result(CommandExit(code=0), b"", b"")
        assert await run(harness, resource, "false") == Result(CommandExit(code=1), b"", b"")
        assert (await run(harness, resource, "echo", "a  b", "$HOME;")).stdout == b"a  b $HOME;\n"

    async def test_command_has_environment_beside_the_usual_one(self, harness: DriverHarness):
        resource = await harness.running()
        usual = await variables(harness, resource)
        env = {"GREETING": "a 'b' $c=d", "d": ""}
        lines = await variables(harness, resource, env=env)
        assert sorted(lines) == sorted([*usual, b"GREETING=a 'b' $c=d", b"d="])

    async def test_program_that_is_not_there_is_refused(self, harness: DriverHarness):
        resource = await harness.running()
        for program in ("no-such-program", "/no/such/program", "/"):
            for detach in (False, True):
                with pytest.raises(InvalidArgumentError) as refused:
                    async with begin(harness, resource, program, detach=detach):
                        pytest.fail("it began")
                assert [each.field for each in refused.value.violations] == ["command.argv"]
                if program != "/":  # which is there, in most
                    assert refused.value.metadata == {"exit_code": "127"}

    async def test_command_in_resource_that_does_not_run_is_refused(self, harness: DriverHarness):
        stopped = await harness.make()
        with pytest.raises(ResourceNotRunningError):
            await run(harness, stopped, "true")
        paused = await harness.make(start=True)
        await harness.driver.pause(paused.id)
        with pytest.raises(StateError):
            await run(harness, paused, "true")

    async def test_command_reads_whole_input(self, harness: DriverHarness):
        resource = await harness.running()
        for size in (1, 20_000, 300_000):
            data = (bytes(range(256)) * (size // 256 + 1))[:size]
            result = await run(harness, resource, "cat", input=data)
            assert result == Result(CommandExit(code=0), data, b"")
        assert (await run(harness, resource, "cat")).stdout == b""

    async def test_output_of_a_megabyte_is_whole(self, harness: DriverHarness):
        resource = await harness.running()
        result = await run(harness, resource, "seq", "160000")
        assert result.exit == CommandExit(code=0)
        assert result.stdout == b"".join(b"%d\n" % each for each in range(1, 160_001))

    async def test_signal_ends_command(self, harness: DriverHarness):
        resource = await harness.running()
        for number in (SIGTERM, SIGKILL):
            limit = timedelta(hours=1)  # that is the core's
            async with begin(harness, resource, *FOR_LONG, timeout=limit) as command:
                assert command.can_signal
                assert command.pid > 0
                await command.signal(number)
                assert ended_by((await result_of(command)).exit, number)
                await command.signal(number)

    async def test_commands_at_once_do_not_wait_for_each_other(self, harness: DriverHarness):
        resource = await harness.running()
        async with begin(harness, resource, *FOR_LONG), begin(harness, resource, *FOR_LONG):
            said = await asyncio.gather(
                *(run(harness, resource, "echo", str(each)) for each in range(4))
            )
        assert [each.stdout for each in said] == [b"%d\n" % each for each in range(4)]

    async def test_detached_command_has_pid(self, harness: DriverHarness):
        resource = await harness.running()
        async with begin(harness, resource, *FOR_LONG, detach=True) as command:
            assert command.pid > 0


class CommandEndsContract:
    """What becomes of the processes of a command; for engines with processes."""

    async def test_command_that_is_left_is_killed_with_its_group(self, harness: DriverHarness):
        resource = await harness.running()
        async with begin(harness, resource, "sh", "-c", f"sleep {LONG} & sleep {LONG}"):
            await eventually(lambda: self._has(harness, resource, 2))
        await eventually(lambda: self._has(harness, resource, 0))

    async def test_command_is_killed_with_its_caller(self, harness: DriverHarness):
        resource = await harness.running()
        running = asyncio.Event()

        async def call() -> None:
            async with begin(harness, resource, *FOR_LONG) as command:
                running.set()
                await result_of(command)

        caller = asyncio.create_task(call())
        await running.wait()
        assert await self._has(harness, resource, 1)
        caller.cancel()
        await asyncio.wait({caller})
        await eventually(lambda: self._has(harness, resource, 0))

    async def test_command_whose_caller_goes_before_it_began_is_killed(
        self, harness: DriverHarness
    ):
        resource = await harness.running()
        await run(harness, resource, "true")

        for patience in (0.0, 0.002, 0.01, 0.02):  # somewhere on the way
            with pytest.raises(TimeoutError):
                async with (
                    asyncio.timeout(patience),
                    begin(harness, resource, *FOR_LONG),
                ):
                    await asyncio.Event().wait()
        await eventually(lambda: self._has(harness, resource, 0))

    async def test_detached_command_goes_on(self, harness: DriverHarness):
        resource = await harness.running()
        async with begin(harness, resource, *FOR_LONG, detach=True):
            pass
        await run(harness, resource, "true")
        assert await self._has(harness, resource, 1)

    async def _has(self, harness: DriverHarness, resource: Resource, count: int) -> bool:
        """Return whether as many processes sleep for long."""
        lines = (await run(harness, resource, "ps")).stdout.splitlines()
        return sum(line.split()[-2:] == [b"sleep", LONG.encode()] for line in lines) == count
