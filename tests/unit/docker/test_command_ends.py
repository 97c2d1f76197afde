"""Ends of commands that an engine does not tell, or tells in a form of its own."""

import tempfile
from pathlib import Path

import pytest

from proad.errors import EngineConflictError
from proad.model import CommandExit, CommandSpec, CommandStreams
from unit.docker.scripted import scripted

CONTAINER = "c" * 64
NOBODY = 2**22 + 1  # no process has a number beyond the kernel's largest limit
RUNS = {"Running": True, "Pid": NOBODY, "ExitCode": None}
OVER = {"Running": False, "Pid": NOBODY}


async def end_of_one(*told: object) -> CommandExit:
    with tempfile.TemporaryDirectory(prefix="proa-test-") as folder:
        async with scripted(Path(folder)) as (engine, driver):
            engine.inspected = [*told]
            spec = CommandSpec(argv=("true",))
            async with driver.start_command(CONTAINER, spec, CommandStreams()) as command:
                assert [output async for output in command.output()] == []
                return await command.exit()


async def test_end_that_the_engine_tells_is_told():
    assert await end_of_one(RUNS, OVER | {"ExitCode": 3}) == CommandExit(code=3)


@pytest.mark.parametrize(
    "told",
    [OVER, OVER | {"ExitCode": None}, OVER | {"ExitCode": "none"}, OVER | {"ExitCode": -1},
     OVER | {"ExitCode": 2**62}, {}, []],
    ids=str,
)  # fmt: skip
async def test_end_that_the_engine_does_not_tell_is_no_success(told: object):
    with pytest.raises(EngineConflictError, match="how the command ended"):
        await end_of_one(RUNS, told)


async def test_process_of_no_possible_number_is_none():
    impossible = RUNS | {"Pid": 2**62}
    assert await end_of_one(impossible, OVER | {"ExitCode": 3}) == CommandExit(code=3)
