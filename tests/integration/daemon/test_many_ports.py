"""200 connections at once to HTTP servers in a container and in a guest, by a daemon of its own."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import pytest

import proa
from eventually import wait_until
from guest.media import build_guest, medium
from integration.daemon.conftest import PASSWORD, Daemon
from integration.daemon.test_ports import MIB, files_of, memory_of, threads_of
from proa import v1
from proa.aio.ports import AsyncPortConnection

MANY = 200  # as many as a user may have, unless the setting says otherwise
WEB = 80
SIZE = 20_000
PAGES = (
    f"mkdir -p /www && cd /www && for page in $(seq 0 {MANY - 1}); "
    f"do yes $page | head -c {SIZE} >$page; done"
)
POOLED = 40  # descriptors and threads that a daemon keeps, however many calls there were

Swept = Callable[[proa.Client], None]


@dataclass(frozen=True)
class Used:
    """What a daemon takes of its host."""

    files: int
    threads: int
    memory: int

    @classmethod
    def by(cls, daemon: Daemon) -> "Used":
        return cls(files_of(daemon), threads_of(daemon), memory_of(daemon))


def page(number: int) -> bytes:
    return (b"%d\n" % number * SIZE)[:SIZE]


@pytest.mark.docker
def test_two_hundred_connections_to_a_container_at_once(
    start_daemon: Callable[..., Daemon], token: str, swept: Swept
):
    daemon = start_daemon()
    client = daemon.client()
    swept(client)
    script = f"{PAGES}; httpd -f -h /www"
    spec = v1.ContainerSpec(image="proa-test/busybox:1", name=token, command=["sh", "-c", script])
    client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    check(daemon, client, token)


@pytest.mark.libvirt
def test_two_hundred_connections_to_a_guest_at_once(
    start_daemon: Callable[..., Daemon], token: str, swept: Swept
):
    build_guest()
    iso = medium("guest.iso")
    daemon = start_daemon(PROA_MEDIA_DIRS=str(iso.parent))
    client = daemon.client()
    swept(client)
    spec = v1.DomainSpec(
        name=token,
        memory_bytes=160 * MIB,
        cdroms=[v1.CdromSpec(path=str(iso))],
        diskless=True,
        networks=[v1.NetworkSpec()],
        graphics=v1.GraphicsSpec(type=v1.GRAPHICS_TYPE_NONE),
    )
    client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec, start=True))
    wait_until(lambda: serves(client, token, ""), within=120)
    client.run_command(token, ["sh", "-c", PAGES], timeout=60, check=True)
    check(daemon, client, token)


def serves(client: proa.Client, id: str, path: str) -> bool:
    with suppress(proa.Error), client.forward_port(id, WEB) as connection:
        connection.write(f"GET /{path} HTTP/1.0\r\n\r\n".encode())
        return b" 200 OK" in connection.read()
    return False


def check(daemon: Daemon, client: proa.Client, id: str) -> None:
    """Check the answers of all connections, what they take of the host, and that they give it back."""
    wait_until(lambda: serves(client, id, str(MANY - 1)))
    before = Used.by(daemon)
    peak = asyncio.run(served(daemon, id))
    assert peak.files >= before.files + MANY
    assert peak.threads <= before.threads + POOLED
    assert peak.memory <= before.memory + MANY * MIB
    wait_until(lambda: files_of(daemon) <= before.files + POOLED, within=10)
    assert threads_of(daemon) <= before.threads + POOLED


async def served(daemon: Daemon, id: str) -> Used:
    """Compare the pages of connections that all stand at once; return what the daemon takes."""
    async with (
        proa.aio.connect(daemon.address, username="ada", password=PASSWORD) as client,
        AsyncExitStack() as stack,
    ):
        standing = [client.forward_port(id, WEB) for _ in range(MANY)]
        await asyncio.gather(*map(stack.enter_async_context, standing))
        peak = Used.by(daemon)
        with pytest.raises(proa.ResourceExhausted) as refused:
            await stack.enter_async_context(client.forward_port(id, WEB))
        assert refused.value.reason == "TOO_MANY_CALLS"
        assert refused.value.metadata["setting"] == "user_request_streams"
        assert f"{MANY} commands, consoles, connections" in refused.value.message
        answers = await asyncio.gather(*map(answer, standing, range(MANY)))
        assert answers == [page(number) for number in range(MANY)]
    return peak


async def answer(connection: AsyncPortConnection, number: int) -> bytes:
    await connection.write(b"GET /%d HTTP/1.0\r\n\r\n" % number)
    said = b"".join([data async for data in connection])
    return said.partition(b"\r\n\r\n")[2]
