"""Signals for process groups of others."""

import os
import signal
import subprocess

import pytest

from proad.drivers.docker.process_group import ProcessGroup

NOBODY, ANOTHER = 65534, 65533


@pytest.fixture
def leader():
    """Return the leader of a group, of another user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be others")
    with subprocess.Popen(["sleep", "60"], user=ANOTHER, start_new_session=True) as process:
        yield process
        process.kill()


async def test_group_that_may_not_be_signalled_is_told_and_closed(leader):
    fd = os.pidfd_open(leader.pid)
    group = ProcessGroup(leader.pid, fd)
    os.seteuid(NOBODY)
    try:
        assert not group.signal(signal.SIGKILL)
    finally:
        os.seteuid(0)
    assert leader.poll() is None

    assert group.signal(signal.SIGKILL)
    leader.wait()
    assert group.signal(signal.SIGKILL)  # it has ended
    group.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
