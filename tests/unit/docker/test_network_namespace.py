"""Runs of containers while this process has nothing left to hold them."""

import ipaddress
import os
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from proad.drivers import neighbours
from proad.drivers.docker.container_run import ContainerRun
from proad.drivers.docker.network_namespace import NetworkNamespace
from proad.drivers.neighbours import Neighbour
from proad.errors import HostExhaustedError
from unit.docker.test_process_group import no_descriptor_left

# Every process is in some control group, whose path has a slash.
_ANY = "/"
_NAMESPACE = "/proc/self/ns/net"


def descriptors() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


async def test_of_without_descriptors_raises_and_does_not_tell_the_process_ended():
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
        ContainerRun.of(os.getpid(), _ANY, partial(NetworkNamespace.of, is_joined=False))


async def test_sockets_without_descriptors_raises():
    namespace = NetworkNamespace(os.open(_NAMESPACE, os.O_RDONLY))
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
        await namespace.sockets()
    namespace.close()


async def test_sockets_without_threads_raises_and_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    namespace = NetworkNamespace(os.open(_NAMESPACE, os.O_RDONLY))
    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(OSError, match="no thread"):
            await namespace.sockets()
    assert descriptors() == before
    namespace.close()


async def test_neighbour_without_descriptors_is_not_told_to_be_out_of_reach():
    address = ipaddress.ip_address("192.0.2.1")
    network = ipaddress.ip_network("192.0.2.0/24")
    neighbour = Neighbour(
        address=address, mac_address="02:00:00:00:00:01", networks=(network,), gateways=()
    )
    with no_descriptor_left(), pytest.raises(HostExhaustedError):
        async with neighbours.connected(
            [neighbour], 80, timedelta(seconds=1), driver="docker", hint=""
        ):
            pytest.fail("there is a connection")
