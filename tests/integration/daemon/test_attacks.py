"""Attacks without a token cost a daemon little memory, and others are served meanwhile."""

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import Daemon
from proa import v1
from proad.rpc.encodings import embedded
from proad.rpc.methods import largest_request
from rpc.raw_http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    Connection,
    Windows,
    frame,
    headers,
    message,
)

LIST = "/proa.v1.ResourceService/ListResources"
CREATE = "/proa.v1.ContainerService/CreateContainer"
GET = "/proa.v1.ResourceService/GetResource"
WATCH = "/grpc.health.v1.Health/Watch"
LOGIN = "/proa.v1.AuthService/CreateToken"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
# What is refused may leave so much behind, beside what the first ones made room for.
MOST_MB = 32
CONNECTIONS = 3_000
STALLED = 1_000
# Four million mounts, each an empty message: 8 KiB on the wire.
BOMB = b"\x0a\xfa\xff\xff\x03" + b"\x62\x00" * (2**22 - 3)


@pytest.fixture
def daemon(start_daemon: Callable[..., Daemon]) -> Daemon:
    return start_daemon("--memory")


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many descriptors for the attacker as its host allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def rss(daemon: Daemon) -> float:
    """Megabytes of memory."""
    assert daemon.process is not None
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def peak(daemon: Daemon) -> float:
    """The most megabytes of memory since the start."""
    assert daemon.process is not None
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def refused(channel: grpc.aio.Channel, request: bytes, **options: Any) -> None:
    method: Any = channel.unary_unary(CREATE)
    with pytest.raises(grpc.aio.AioRpcError):
        await method(request, timeout=60, **options)


@pytest.mark.parametrize("who", ["stranger", "advanced"])
def test_attack_compressed_messages_of_8_mib_cost_no_memory(daemon: Daemon, who: str) -> None:
    metadata = []
    if who == "advanced":
        with daemon.client() as client:
            login = v1.CreateTokenRequest(username="ada", password="correct horse")
            metadata = [("authorization", f"Bearer {client.auth.CreateToken(login).token}")]
    before = rss(daemon)

    async def attack() -> None:
        packed = {"compression": grpc.Compression.Gzip, "metadata": metadata}
        async with grpc.aio.insecure_channel(daemon.address) as channel:
            await asyncio.gather(*(refused(channel, BOMB, **packed) for _ in range(20)))

    asyncio.run(attack())

    assert peak(daemon) - before < MOST_MB


def test_attack_10000_refused_calls_cost_no_memory(daemon: Daemon) -> None:
    """Each with a request as large as its method takes."""
    request = embedded(1, b"\x62\x00" * 131_000)

    async def attack(count: int) -> None:
        async with grpc.aio.insecure_channel(daemon.address) as channel:
            for _ in range(count // 50):
                await asyncio.gather(*(refused(channel, request) for _ in range(50)))

    asyncio.run(attack(500))
    after_the_first = rss(daemon)
    asyncio.run(attack(9_500))

    assert rss(daemon) - after_the_first < MOST_MB


@pytest.mark.parametrize("path", [LOGIN, REFLECTION])
def test_attack_partial_messages_cost_little_memory_and_others_are_served(
    daemon: Daemon, path: str
) -> None:
    """Each of the largest size that any method takes, on more streams than are read at a time."""
    before = rss(daemon)
    announced = largest_request()
    part = b"\0" + announced.to_bytes(4, "big") + bytes(announced - 1)

    async def send(connection: Connection) -> None:
        windows = Windows(connection)
        for stream in range(1, 400, 2):
            connection.begin(path, stream=stream)
            windows.send(stream, part)
        while got := await connection.next_frame():
            windows.hear(*got)

    async def both() -> None:
        connections = [await Connection.open(daemon.address) for _ in range(3)]
        sending = [asyncio.create_task(send(connection)) for connection in connections]
        for _ in range(20):
            await asyncio.to_thread(served)
            await asyncio.sleep(0.2)
        for connection in connections:
            connection.close()
        await asyncio.gather(*sending)

    def served() -> None:
        began = time.monotonic()
        with daemon.client() as client:
            for _ in range(100):  # strangers of one place wait for one another, or are refused
                with suppress(proa.Error):
                    client.auth.GetCaller(v1.GetCallerRequest(), timeout=30)
                    break
        assert time.monotonic() - began < 10

    asyncio.run(both())

    # All of those that are read, a window of each of the others, and what gRPC adds.
    assert peak(daemon) - before < 64 * 1.1 + 600 / 16 + 2 * MOST_MB


def test_attack_thousands_of_connections_leave_others_served(
    daemon: Daemon, many_files: None
) -> None:
    """Some say nothing at all, some nothing after the preface, some hold streams."""

    async def attack(stack: ExitStack) -> list[Connection]:
        opened = []
        for number in range(CONNECTIONS):
            connection = await Connection.open(
                daemon.address, preface=number % 3 > 0, source="127.0.0.2"
            )
            stack.callback(connection.close)
            opened.append(connection)
            if number % 3 == 2:
                connection.begin(WATCH)
        return opened

    async def both() -> None:
        with ExitStack() as stack:
            opened = await attack(stack)
            await asyncio.to_thread(served)
            silent = opened[::3]
            async with asyncio.timeout(60):  # a handshake may take ten seconds
                await asyncio.gather(*(connection.closed() for connection in silent))
            await asyncio.to_thread(served)

    def served() -> None:
        with daemon.client() as client:
            spec = v1.ContainerSpec(image="proa-test/busybox:1")
            request = v1.CreateContainerRequest(spec=spec)
            made = client.containers.CreateContainer(request, timeout=30).resource
            for _ in range(100):
                began = time.monotonic()
                client.resources.GetResource(v1.GetResourceRequest(id=made.id), timeout=30)
                assert time.monotonic() - began < 10

    asyncio.run(both())


def test_attack_more_calls_at_once_than_can_be_begun_fail_no_call_of_others(daemon: Daemon) -> None:
    """Six connections, each with all the calls that it may have, at once and again."""
    streams = range(1, 2 * STALLED, 2)
    data = b"".join(
        frame(HEADERS, END_HEADERS, stream, headers(LIST))
        + frame(DATA, END_STREAM, stream, message(b""))
        for stream in streams
    )

    async def attack() -> None:
        connection = await Connection.open(daemon.address, source="127.0.0.2")
        await connection.heard()
        connection.send(data)
        left = len(streams)
        while left and (got := await connection.next_frame()) is not None:
            kind, flags, _stream, _payload = got
            left -= kind == RST_STREAM or bool(flags & END_STREAM)
        connection.close()
        assert not left

    once = (("grpc.enable_retries", 0),)
    with daemon.client(options=once) as client:
        client.resources.ListResources(v1.ListResourcesRequest())

        async def both() -> None:
            for _ in range(3):
                attacking = asyncio.gather(*(attack() for _ in range(6)))
                while not attacking.done():
                    await asyncio.to_thread(
                        client.resources.ListResources, v1.ListResourcesRequest(), timeout=30
                    )
                await attacking

        asyncio.run(both())


def test_attack_stalled_lists_of_a_user_cost_bounded_memory(daemon: Daemon) -> None:
    """A thousand answers of more than a megabyte each, which nobody reads."""
    labels = {f"label-{number}": "x" * 4000 for number in range(16)}
    with daemon.client() as client, daemon.client("eve") as reader:
        for number in range(20):
            spec = v1.ContainerSpec(
                image="proa-test/busybox:1", name=f"box-{number}", labels=labels
            )
            client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec))
        login = v1.CreateTokenRequest(username="eve", password="correct horse")
        token = reader.auth.CreateToken(login).token
        size = reader.resources.ListResources(v1.ListResourcesRequest()).ByteSize()
        assert STALLED * size > 2**30
        before = rss(daemon)

        async def attack() -> None:
            opened = [await Connection.open(daemon.address) for _ in range(10)]
            for connection in opened:
                for stream in range(1, 2 * STALLED // len(opened), 2):
                    connection.begin(LIST, stream=stream, authorization=f"Bearer {token}")
                    connection.send(frame(DATA, END_STREAM, stream, message(b"")))
            for connection in opened:
                await connection.heard()

            def others_and_itself() -> bool:
                client.resources.ListResources(v1.ListResourcesRequest(), timeout=30)
                reader.auth.GetCaller(v1.GetCallerRequest(), timeout=30)
                return True

            # A busy machine is still at the lists, and reads no other request in time.
            await asyncio.to_thread(wait_until, others_and_itself, tolerate=(proa.Error,))
            for connection in opened:
                connection.close()

        asyncio.run(attack())

    # Twice, since gRPC copies what is sent.
    assert peak(daemon) - before < 2 * 64 + 2 * MOST_MB


def test_daemon_raises_its_file_limit_to_the_hard_limit(daemon: Daemon) -> None:
    assert daemon.process is not None
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)

    assert soft == hard
