"""What tests of commands inside containers share."""

import hashlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from proad.drivers.docker import DockerDriver
from proad.model import CommandExit, CommandSpec, CommandStreams
from proad.ports import RunningCommand

_MANY = 100_000_000

Run = Callable[..., Coroutine[Any, Any, tuple[bytes, bytes, CommandExit]]]


async def outcome(command: RunningCommand) -> tuple[bytes, bytes, CommandExit]:
    """Return all that a command writes from now on, and how it ends."""
    said = {False: bytearray(), True: bytearray()}
    async for output in command.output():
        said[output.is_stderr] += output.data
    return bytes(said[False]), bytes(said[True]), await command.exit()


async def check_100_mb_of_output(driver: DockerDriver, id: str) -> None:
    """Check that all comes that a command writes."""
    digest, count = hashlib.sha256(), 0
    script = f"head -c {_MANY} /dev/zero | tr '\\0' 'x'"
    spec = CommandSpec(argv=("sh", "-c", script))
    async with driver.start_command(id, spec, CommandStreams()) as command:
        async for output in command.output():
            digest.update(output.data)
            count += len(output.data)
        assert (await command.exit()).code == 0

    assert count == _MANY
    assert digest.hexdigest() == hashlib.sha256(b"x" * _MANY).hexdigest()


async def check_100_mb_of_input(driver: DockerDriver, id: str) -> None:
    """Check that all reaches a command that is written to it."""
    block = os.urandom(50_000)
    expected = hashlib.sha256()
    spec = CommandSpec(argv=("sha256sum",))
    async with driver.start_command(id, spec, CommandStreams(stdin=True)) as command:
        for _ in range(_MANY // len(block)):
            await command.write(block)
            expected.update(block)
        await command.end_input()
        stdout, _, exit = await outcome(command)

    assert exit.code == 0
    assert stdout.split()[0].decode() == expected.hexdigest()


def gone(pid: int) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def is_gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    return is_gone
