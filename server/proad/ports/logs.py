"""The port of a driver whose engine keeps what resources write."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from proad.model import LogLine, LogOptions


@runtime_checkable
class Logs(Protocol):
    """The logs of resources."""

    def read_log(
        self, id: str, options: LogOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[LogLine]]]:
        """Read the log of a resource in any state, while the block runs.

        The iterator has the lines in their order, a thousand at a time at most, none longer than
        `LONGEST_LINE`. Nothing is read ahead of it by more than a few hundred KiB. With `follow`, it
        ends with the run of the resource, and with the present log of one that does not run.

        Raises:
            CapabilityMissingError: there is no log that can be read, or it does not tell what
                `options` ask for.
            EngineUnreachableError: also from the iterator: the engine went away.
        """
