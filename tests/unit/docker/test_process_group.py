"""Process groups of commands, on this host's own processes."""

import os
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from proad.drivers.docker.process_group import ProcessGroup, is_of_container, may_signal

# Every process is in some control group, whose path has a slash.
_ANY = "/"


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


@contextmanager
def no_descriptor_left():
    """Let this process open nothing more within the block."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for each in taken:
            os.close(each)


async def test_of_process_of_another_container_or_ended_is_none(sleeper):
    assert ProcessGroup.of(sleeper.pid, "no such container") is None
    group = ProcessGroup.of(sleeper.pid, _ANY)
    assert group is not None
    group.close()

    sleeper.kill()
    sleeper.wait()
    assert ProcessGroup.of(sleeper.pid, _ANY) is None


async def test_of_without_descriptors_raises_and_does_not_tell_the_process_ended(sleeper):
    with no_descriptor_left():
        for look in (
            lambda: ProcessGroup.of(sleeper.pid, _ANY),
            lambda: is_of_container(sleeper.pid, _ANY),
            lambda: may_signal(sleeper.pid, _ANY),
        ):
            with pytest.raises(OSError, match="Too many open files"):
                look()
    group = ProcessGroup.of(sleeper.pid, _ANY)
    assert group is not None
    group.close()
