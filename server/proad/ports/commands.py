"""The port of a driver whose engine runs commands inside resources."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from proad.model import CommandExit, CommandOutput, CommandSpec, CommandStreams, TerminalSize


class RunningCommand(Protocol):
    """A command that has begun. Its methods are called on the event loop."""

    @property
    def pid(self) -> int:
        """Its process id, as the engine tells it; 0: not known."""

    @property
    def can_signal(self) -> bool:
        """Whether `signal` works, and leaving the block of `start_command` kills the command.

        Where that takes what is inside the resource, it may turn out later that it does not.
        """

    def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what it writes, in pieces of at most 64 KiB, until it has ended.

        Nothing is read ahead of the caller by more than a few pieces: a command that nobody
        reads waits.

        Raises:
            EngineUnreachableError: the engine went away.
        """

    async def write(self, data: bytes) -> None:
        """Write to its standard input; wait while the command does not read.

        What comes after the command has closed its input, or has ended, is dropped.
        """

    async def end_input(self) -> None:
        """End its standard input."""

    async def resize(self, size: TerminalSize) -> None:
        """Change the size of its terminal."""

    async def signal(self, number: int) -> None:
        """Send a signal to it and the processes of its group; ignore that it has ended.

        Raises:
            CapabilityMissingError: `can_signal` is false, or the command turns out to be out of
                reach; it goes on.
        """

    def detach(self) -> None:
        """Leave it running when the block is left."""

    async def exit(self) -> CommandExit:
        """Return how it ended, once `output` has."""


@runtime_checkable
class Commands(Protocol):
    """Commands inside resources."""

    def start_command(
        self, id: str, spec: CommandSpec, streams: CommandStreams
    ) -> AbstractAsyncContextManager[RunningCommand]:
        """Start a command, which runs while the block does.

        Leaving the block kills the command and the processes of its group, where `can_signal`,
        unless it has ended or is detached. Its environment may have a variable `PROA_COMMAND_ID`,
        by which the driver finds it.

        Raises:
            StateError: the resource is not RUNNING.
            InvalidArgumentError: the program is not there or cannot be executed, or the user or
                the folder does not exist; with its field below "command".
            CapabilityMissingError: the engine cannot do what is asked for; nothing runs. With a
                timeout: the command could not be killed.
        """
