"""Servers at Unix sockets of containers that send file descriptors, whose close would stop the daemon."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from container_sockets import listening_at
from eventually import eventually
from integration.docker.workloads import Make
from lingering import connection_that_lingers, send
from proad.drivers.docker import DockerDriver, unix_sockets
from proad.errors import ConnectionFailedError
from proad.model import Resource

pytestmark = pytest.mark.docker

APP = "/run/app.sock"
LINGERS = 20
SOON = 5.0


@pytest.fixture
async def box(make: Make) -> Resource:
    return await make("sleep", "1000")


@pytest.fixture
def lingering() -> Iterator[int]:
    with connection_that_lingers(LINGERS) as descriptor:
        yield descriptor


@asynccontextmanager
async def quick() -> AsyncIterator[None]:
    """Fail if the event loop, or the block, takes long."""
    begun = time.monotonic()
    yield
    await asyncio.sleep(0)
    assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("flags", [0, socket.MSG_OOB], ids=["in-band", "out-of-band"])
async def test_descriptors_end_the_connection_and_hold_up_nobody(
    driver: DockerDriver, box: Resource, lingering: int, flags: int
):
    with listening_at(box, APP) as server:
        async with quick(), driver.connect_socket(box.id, APP) as connection:
            peer, _ = server.accept()
            peer.sendall(b"before")
            assert await connection.read() == b"before"
            send(peer, lingering, flags)
            peer.sendall(b"after")
            with pytest.raises(ConnectionFailedError) as told:
                await connection.read()
            assert told.value.cause == "descriptors received"
        peer.close()


@pytest.mark.parametrize("flags", [0, socket.MSG_OOB], ids=["in-band", "out-of-band"])
async def test_descriptors_that_nobody_has_read_hold_up_nobody(
    driver: DockerDriver, box: Resource, lingering: int, flags: int
):
    with listening_at(box, APP) as server:
        async with quick(), driver.connect_socket(box.id, APP):
            peer, _ = server.accept()
            send(peer, lingering, flags)
        peer.close()


async def test_descriptors_are_never_had(driver: DockerDriver, box: Resource, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    with listening_at(box, APP) as server:
        async with driver.connect_socket(box.id, APP) as connection:
            peer, _ = server.accept()
            with peer:
                send(peer, os.open(secret, os.O_RDONLY), 0)
                with pytest.raises(ConnectionFailedError):
                    await connection.read()
                assert not has_open(secret)  # it is the socket's alone
    await eventually(lambda: not has_open(secret))


def has_open(path: Path) -> bool:
    files = Path("/proc/self/fd").iterdir()
    return any(os.path.realpath(each) == str(path) for each in files)


async def test_descriptors_of_many_connections_hold_up_nobody_and_keep_no_thread(
    driver: DockerDriver, box: Resource
):
    """They would outlive the container, and so each one after it."""
    threads = count_of_threads()
    with ExitStack() as open, listening_at(box, APP) as server:
        async with AsyncExitStack() as connections:
            for _ in range(unix_sockets._THREADS + 4):
                descriptor = open.enter_context(connection_that_lingers(600))
                await connections.enter_async_context(driver.connect_socket(box.id, APP))
                peer, _ = server.accept()
                with peer:
                    send(peer, descriptor, 0)
        async with quick(), driver.connect_socket(box.id, APP) as connection:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"all")
                assert await connection.read() == b"all"
        await eventually(lambda: count_of_threads() <= threads)


def count_of_threads() -> int:
    """Return how many threads this process has, those included that the kernel has not ended yet."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


async def test_what_a_peer_says_before_it_closes_is_read_though_it_reads_no_more(
    driver: DockerDriver, box: Resource
):
    with listening_at(box, APP) as server:
        async with driver.connect_socket(box.id, APP) as connection:
            peer, _ = server.accept()
            await connection.write(b"GET /")
            peer.sendall(b"no")
            peer.close()
            writing = asyncio.create_task(connection.write(b"more"))
            assert await connection.read() == b"no"
            read = asyncio.create_task(connection.read())
            done = await asyncio.gather(writing, read, return_exceptions=True)
            assert any(isinstance(each, ConnectionFailedError) for each in done)
