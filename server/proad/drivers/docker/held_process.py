"""Processes of containers on this host, each held so that no other one is ever meant."""

import asyncio
import os
from collections.abc import Callable

from proad.drivers.exhausted import is_exhausted


def opened(pid: int) -> int | None:
    """Return a descriptor of a process; None: there is none of that number.

    Raises:
        OSError: there is no descriptor or no memory left to hold it.
    """
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if is_exhausted(error):
            raise
        return None


class HeldProcess:
    """A process, by a descriptor: its number may be given out anew.

    Args:
        fd: the process, from `opened`.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()

    def on_end(self, call: Callable[[], None]) -> None:
        """Call `call` once, when the process has ended."""

        def ended() -> None:
            self._loop.remove_reader(self._fd)
            call()

        self._loop.add_reader(self._fd, ended)

    def close(self) -> None:
        """Let it go."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
