"""Signals for the processes of a container, sent past an engine that has no call for it."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Self

from proad.drivers.docker.process_rights import Right, own_rights
from proad.drivers.exhausted import is_exhausted

# Since Linux 6.9; before, the group is named by the number of its leader, which is alive then.
# https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html
_PROCESS_GROUP = 1 << 2


def is_of_container(pid: int, container: str) -> bool:
    """Return whether a process of this host, by its number, is one of a container.

    It is not where the number is that of another namespace, or of another host.

    Raises:
        OSError: there is no descriptor or no memory left to see that.
    """
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError as error:
        if is_exhausted(error):
            raise
        return False


def is_there(pid: int) -> bool:
    """Return whether this host has a process of that number."""
    return Path(f"/proc/{pid}").exists()


def may_signal(pid: int, container: str) -> bool:
    """Return whether this process may signal those of a container whose first process has `pid`."""
    if not (pid and is_of_container(pid, container)):
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def may_signal_all() -> bool:
    """Return whether this process may signal those of all users: the capability CAP_KILL."""
    return Right.KILL in own_rights()


def _may_signal(fd: int) -> bool:
    """Return whether a process has not ended, and is not somebody's whom this one may not signal."""
    try:
        signal.pidfd_send_signal(fd, 0)
    except OSError:
        return False
    return True


class ProcessGroup:
    """The group of a process, held so that no other one is ever meant.

    Args:
        pid: number of its leader.
        fd: the leader.
    """

    def __init__(self, pid: int, fd: int) -> None:
        self._pid = pid
        self._fd = fd
        self._loop = asyncio.get_running_loop()

    @classmethod
    def of(cls, pid: int, container: str) -> Self | None:
        """Return the group of a container's process; None: it has ended, or is not to be reached.

        Raises:
            OSError: there is no descriptor or no memory left to hold it.
        """
        try:
            fd = os.pidfd_open(pid)
        except OSError as error:
            if is_exhausted(error):
                raise
            return None
        group = None
        try:
            if _may_signal(fd) and is_of_container(pid, container):
                group = cls(pid, fd)
        finally:
            if group is None:
                os.close(fd)
        return group

    def on_end(self, call: Callable[[], None]) -> None:
        """Call `call` once, when the leader has ended."""

        def ended() -> None:
            self._loop.remove_reader(self._fd)
            call()

        self._loop.add_reader(self._fd, ended)

    def signal(self, number: int) -> bool:
        """Send a signal to all processes of the group; ignore that they have ended.

        Returns whether this process may: a command may have another user than its container.
        """
        try:
            self._send(number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return True

    def _send(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._fd, number, None, _PROCESS_GROUP)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            signal.pidfd_send_signal(self._fd, 0)
            os.killpg(self._pid, number)

    def close(self) -> None:
        """Let the group go."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
