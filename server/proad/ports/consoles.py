"""The port of a driver whose engine lets callers attach to the consoles of resources."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from proad.model import CommandExit, CommandOutput, ConsoleOptions, ResourceKind, TerminalSize


class Console(Protocol):
    """The streams of a container's main process, or the serial console of a domain.

    Its methods are called on the event loop.
    """

    @property
    def kind(self) -> ResourceKind:
        """The kind of the resource."""

    @property
    def tty(self) -> bool:
        """Whether it is a terminal or a serial line: its output is one, its input keys."""

    @property
    def stdin(self) -> bool:
        """Whether it takes input."""

    @property
    def can_resize(self) -> bool:
        """Whether it has a size."""

    @property
    def can_signal(self) -> bool:
        """Whether it takes signals."""

    @property
    def stdin_once(self) -> bool:
        """Whether its input ends with the attachment; only then `end_input` works."""

    def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what is written, in pieces of at most 64 KiB, until it ends.

        Raises:
            EngineUnreachableError: the engine went away.
            ReaderTooSlowError: more was written than is held for a caller who does not read.
        """

    async def write(self, data: bytes) -> None:
        """Write to its input; wait while it is not read.

        Raises:
            EngineTimedOutError: it was not read for too long.
        """

    async def end_input(self) -> None:
        """End its input.

        Raises:
            CapabilityMissingError: the engine does not end it.
        """

    async def resize(self, size: TerminalSize) -> None:
        """Change its size.

        Raises:
            CapabilityMissingError: `can_resize` is false.
        """

    async def signal(self, number: int) -> None:
        """Send the main process a signal; ignore that it has ended.

        Raises:
            CapabilityMissingError: `can_signal` is false.
        """

    async def exit(self) -> CommandExit | None:
        """Return how the main process ended, once `output` has; None: the domain runs no more.

        Raises:
            EngineConflictError: it is not known.
            ConsoleTakenError: the resource goes on, and somebody else has the console.
        """


@runtime_checkable
class Consoles(Protocol):
    """Consoles of resources."""

    def attach(
        self, id: str, options: ConsoleOptions = ConsoleOptions()
    ) -> AbstractAsyncContextManager[Console]:
        """Attach to a console while the block runs; leaving it leaves the resource as it is.

        What is written from the beginning of the block on is output. `exclusive` is a matter of the
        core; `force` is that of an engine whose consoles have one caller.

        Raises:
            StateError: the resource is not RUNNING.
            CapabilityMissingError: it has no console, or the engine none to attach to.
            InvalidArgumentError: `stdin` is wanted, and it takes no input.
            InUseError: somebody is attached, and it has one caller.
        """
