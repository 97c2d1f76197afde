"""Signals for the processes of a container, sent past an engine that has no call for it."""

import errno
import os
import signal
from pathlib import Path
from typing import Self

from proad.drivers.docker.held_process import HeldProcess, opened
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


class ProcessGroup(HeldProcess):
    """The group of a process, by its leader.

    Args:
        pid: number of the leader.
        fd: the leader.
    """

    def __init__(self, pid: int, fd: int) -> None:
        super().__init__(fd)
        self._pid = pid

    @classmethod
    def of(cls, pid: int, container: str) -> Self | None:
        """Return the group of a container's process; None: it has ended, or is not to be reached.

        Raises:
            OSError: there is no descriptor or no memory left to hold it.
        """
        if (fd := opened(pid)) is None:
            return None
        group = None
        try:
            if _may_signal(fd) and is_of_container(pid, container):
                group = cls(pid, fd)
        finally:
            if group is None:
                os.close(fd)
        return group

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
