"""Commands inside resources."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from proad.core.beside import beside
from proad.core.entrance import Entrance
from proad.model import Action, CommandExit, CommandSpec, CommandStreams
from proad.ports import Commands, RunningCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command that has ended left behind.

    Attributes:
        exit: how it ended.
        stdout: the beginning of its standard output.
        stderr: the beginning of its standard error.
        stdout_bytes: bytes that it wrote to its standard output.
        stderr_bytes: bytes that it wrote to its standard error.
    """

    exit: CommandExit
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    stdout_bytes: int
    stderr_bytes: int


class LimitedCommand:
    """A command under way, with its timeout.

    Args:
        running: the command.
    """

    def __init__(self, running: RunningCommand) -> None:
        self.running = running
        self._timed_out = False

    async def kill_after(self, lifetime: timedelta) -> None:
        """Kill the command after a time."""
        await asyncio.sleep(lifetime.total_seconds())
        self._timed_out = True
        await self.running.signal(signal.SIGKILL)

    async def exit(self) -> CommandExit:
        """Return how it ended, once its output has."""
        return replace(await self.running.exit(), timed_out=self._timed_out)


class CommandOperations:
    """Runs commands inside resources.

    Errors are those of `Entrance.enter` and of the port.

    Args:
        entrance: admits callers into resources.
    """

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    @asynccontextmanager
    async def running(
        self, ref: str, spec: CommandSpec, streams: CommandStreams
    ) -> AsyncIterator[LimitedCommand]:
        """Run a command while the block does; at its end it is killed, as the port says."""
        async with (
            self._entrance.enter(ref, Commands, Action.RUN_COMMAND) as entered,
            entered.driver.start_command(entered.id, spec, streams) as running,
        ):
            command = LimitedCommand(running)
            if spec.timeout is None or streams.detach:
                yield command
                return
            async with beside(command.kill_after(spec.timeout)):
                yield command

    async def run(self, ref: str, spec: CommandSpec, input: bytes, most: int) -> CommandResult:
        """Run a command to its end.

        Args:
            ref: what the caller wrote for the resource.
            spec: the command.
            input: its whole standard input.
            most: bytes of each output to keep.
        """
        streams = CommandStreams(input=input or None)
        kept = {False: bytearray(), True: bytearray()}
        written = {False: 0, True: 0}
        async with self.running(ref, spec, streams) as command:
            async for output in command.running.output():
                before = kept[output.is_stderr]
                before += output.data[: most - len(before)]
                written[output.is_stderr] += len(output.data)
            return CommandResult(
                exit=await command.exit(),
                stdout=bytes(kept[False]),
                stderr=bytes(kept[True]),
                stdout_bytes=written[False],
                stderr_bytes=written[True],
            )
