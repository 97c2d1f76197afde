"""Runs of containers, by their main processes."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from proad.drivers.docker.container_run import ContainerRun

# What select() takes ends below; see FD_SETSIZE.
_MANY = 1024


class _Nothing:
    def close(self) -> None:
        pass


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Have so many descriptors open that the next one has a large number."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 2 * _MANY:
        pytest.skip("this process may not have so many descriptors")
    with ExitStack() as open:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2 * _MANY), limits[1]))
        open.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        while (fd := os.open(os.devnull, os.O_RDONLY)) < _MANY:
            open.callback(os.close, fd)
        open.callback(os.close, fd)
        yield


@pytest.mark.usefixtures("many_descriptors")
async def test_of_descriptor_with_large_number_is_held():
    run = ContainerRun.of(os.getpid(), "", lambda _: _Nothing())
    assert run is not None
    run.close()


@pytest.fixture
def ended_process() -> Iterator[int]:
    """Return the number of a process that has ended, and for which nobody has waited."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    yield pid
    os.waitpid(pid, 0)


async def test_of_process_that_has_ended_is_none(ended_process):
    assert ContainerRun.of(ended_process, "", lambda _: _Nothing()) is None
