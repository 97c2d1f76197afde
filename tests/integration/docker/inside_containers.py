"""What tests of commands inside containers share."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from proad.model import (
    CommandExit,
)
from proad.ports import RunningCommand

Run = Callable[..., Coroutine[Any, Any, tuple[bytes, bytes, CommandExit]]]


async def outcome(command: RunningCommand) -> tuple[bytes, bytes, CommandExit]:
    """Return all that a command writes from now on, and how it ends."""
    said = {False: bytearray(), True: bytearray()}
    async for output in command.output():
        said[output.is_stderr] += output.data
    return bytes(said[False]), bytes(said[True]), await command.exit()


def gone(pid: int) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def is_gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    return is_gone
