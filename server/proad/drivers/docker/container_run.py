"""Runs of containers, and what of them is worked with past the engine."""

import select
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from proad.drivers.docker.held_process import HeldProcess, opened
from proad.drivers.docker.process_group import is_of_container


class Held(Protocol):
    """What is held of a process."""

    def close(self) -> None:
        """Let it go."""


H = TypeVar("H", bound=Held)


class ContainerRun(HeldProcess, Generic[H]):
    """A run of a container, as its main process.

    Args:
        fd: the main process.

    Attributes:
        held: what is held of it; None: that is out of reach.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.held: H | None = None

    @classmethod
    def of(cls, pid: int, container: str, hold: Callable[[int], H | None]) -> Self | None:
        """Return the run of a container by its main process; None: that is out of sight, or over.

        Args:
            pid: number of the main process.
            container: id of the container.
            hold: returns what is to be held of the process of that number; raises what this raises.

        Raises:
            OSError: there is no descriptor or no memory left to see that.
        """
        if (fd := opened(pid)) is None:
            return None
        run = cls(fd)
        try:
            if is_of_container(pid, container):
                run.held = hold(pid)
                # All of it is told of this process, if that is still there now.
                if not _has_ended(fd):
                    return run
        except BaseException:
            run.close()
            raise
        run.close()
        return None

    def let_go(self) -> None:
        """Let go of what is held, and hold on to the process."""
        if self.held is not None:
            self.held.close()
            self.held = None

    def close(self) -> None:
        """Let all of it go."""
        super().close()
        self.let_go()


def _has_ended(fd: int) -> bool:
    """Return whether a process has ended, which its descriptor shows, whatever its number."""
    ends = select.poll()  # select() takes none from 1024 on, as strangers' connections may make it
    ends.register(fd, select.POLLIN)
    return bool(ends.poll(0))
