"""Connections to ports of a real container by a daemon of its own: many, stalled, and left."""

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import proa
from container_sockets import listening_at
from eventually import settled, wait_until
from integration.daemon.conftest import BIN, PASSWORD, Daemon
from proa import v1

pytestmark = pytest.mark.docker

MANY = 100
MIB = 2**20


def files_of(daemon: Daemon) -> int:
    assert daemon.process is not None
    return len([*Path(f"/proc/{daemon.process.pid}/fd").iterdir()])


def threads_of(daemon: Daemon) -> int:
    assert daemon.process is not None
    return len([*Path(f"/proc/{daemon.process.pid}/task").iterdir()])


def memory_of(daemon: Daemon) -> int:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_stalled_connections_cost_bounded_memory_and_go_with_their_caller(
    start_daemon: Callable[..., Daemon], token: str, swept: Callable[[proa.Client], None]
):
    daemon = start_daemon()
    client = daemon.client()
    swept(client)
    spec = v1.ContainerSpec(
        image="proa-test/busybox:1", name=token, command=["nc", "-ll", "-p", "9", "-e", "yes"]
    )
    client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    wait_until(lambda: sends(client, token))
    before, memory, threads = files_of(daemon), memory_of(daemon), threads_of(daemon)

    user = {"PROA_USERNAME": "ada", "PROA_PASSWORD": PASSWORD, "PROA_TARGET": daemon.address}
    command = [str(BIN / "proa"), "port-forward", token, ":9"]
    with (
        subprocess.Popen(command, env=os.environ | user, stdout=subprocess.PIPE, text=True) as cli,
        ExitStack() as open,
    ):
        assert cli.stdout is not None
        host, _, port = cli.stdout.readline().split()[2].rpartition(":")

        def begun(_: int) -> socket.socket:
            carrier = open.enter_context(socket.create_connection((host, int(port)), timeout=60))
            assert carrier.recv(2) == b"y\n"
            return carrier

        with ThreadPoolExecutor(4) as pool:
            assert len([*pool.map(begun, range(MANY))]) == MANY
        asyncio.run(_still(daemon))
        assert memory_of(daemon) - memory < MANY * MIB
        assert files_of(daemon) >= before + MANY
        assert threads_of(daemon) < threads + MANY // 4

        cli.kill()
        wait_until(lambda: files_of(daemon) < before + MANY // 2, within=10)


def test_stalled_connections_to_a_socket_cost_bounded_memory_and_go_with_their_caller(
    start_daemon: Callable[..., Daemon], token: str, swept: Callable[[proa.Client], None]
):
    daemon = start_daemon()
    client = daemon.client()
    swept(client)
    spec = v1.ContainerSpec(image="proa-test/busybox:1", name=token, command=["sleep", "600"])
    client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    box = client.resources.GetResource(
        v1.GetResourceRequest(id=token, view=v1.RESOURCE_VIEW_FULL)
    ).resource
    before, memory, threads = files_of(daemon), memory_of(daemon), threads_of(daemon)

    user = {"PROA_USERNAME": "ada", "PROA_PASSWORD": PASSWORD, "PROA_TARGET": daemon.address}
    command = [str(BIN / "proa"), "port-forward", token, ":/run/app.sock"]
    with (
        listening_at(box.container.pid, "/run/app.sock") as server,
        subprocess.Popen(command, env=os.environ | user, stdout=subprocess.PIPE, text=True) as cli,
        ExitStack() as open,
    ):
        assert cli.stdout is not None
        host, _, port = cli.stdout.readline().split()[2].rpartition(":")
        for _ in range(MANY):
            open.enter_context(socket.create_connection((host, int(port)), timeout=60))
            peer, _ = server.accept()
            open.enter_context(peer)
            peer.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    peer.send(bytes(65536))
        asyncio.run(_still(daemon))
        assert memory_of(daemon) - memory < MANY * MIB
        assert files_of(daemon) >= before + MANY
        assert threads_of(daemon) < threads + MANY // 4

        cli.kill()
        wait_until(lambda: files_of(daemon) < before + MANY // 2, within=10)


def sends(client: proa.Client, id: str) -> bool:
    try:
        with client.forward_port(id, 9) as connection:
            return connection.read().startswith(b"y\n")
    except proa.Unavailable:  # its server does not listen yet
        return False


async def _still(daemon: Daemon) -> None:
    """Wait until a daemon takes no more memory."""
    async with asyncio.timeout(60):
        await settled(lambda: memory_of(daemon) // MIB, every=1)
