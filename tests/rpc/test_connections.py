"""Connections: the limit of headers, and the life of idle connections."""

import asyncio

import pytest

from eventually import consistently
from proa import v1
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.daemon import BOTH, RPCS, refusal
from rpc.raw_http2 import ACK, PING, Connection, Windows, frame, message


@pytest.mark.parametrize(("size", "taken"), [(7_000, True), (8_400, False), (12_000, False)])
async def test_headers_over_the_limit_are_refused_every_time(daemon, size, taken):
    """Not now and then: gRPC refuses by chance between two limits."""
    for _ in range(20):
        call = daemon.send(
            RPCS["GetCaller"],
            v1.GetCallerRequest(),
            token=daemon.token(*BOTH),
            metadata=[("x-note", "n" * size)],
        )

        if taken:
            assert (await call).username == "ann"
        else:
            assert (await refusal(call)).code == "RESOURCE_EXHAUSTED"


async def test_connection_without_a_call_is_closed_after_idle_time(serve):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(idle=1)))
    connection = await Connection.open(daemon.address)

    async with asyncio.timeout(60):
        await connection.closed()

    assert (await daemon.call("GetCaller")).username == "ann"


async def test_connection_without_a_handshake_is_closed(serve):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(handshake=1)))
    connection = await Connection.open(daemon.address, preface=False)

    async with asyncio.timeout(60):
        await connection.closed()


async def test_connection_with_a_stream_is_not_closed_as_idle(serve):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(idle=1)))
    call = daemon.call("WatchResources", timeout=None)
    assert (await call.read()).events
    await consistently(lambda: not call.done(), during=3)  # three times the idle time

    await daemon.container("web")

    async with asyncio.timeout(60):
        while not any(event.HasField("change") for event in (await call.read()).events):
            pass


async def test_connection_sent_and_not_read_is_held_back(daemon):
    """Of a stream that anybody may open, and that reads one message."""
    connection = await Connection.open(daemon.address)
    windows = Windows(connection)
    connection.begin("/grpc.health.v1.Health/Watch")
    windows.send(1, message(b"") + bytes(2**24))

    async with asyncio.timeout(60):
        asked = 0
        while got := await connection.next_frame():
            kind, flags, _stream, payload = got
            if kind == PING and flags & ACK and int.from_bytes(payload, "big") == windows.sent:
                break  # all of it has come, and makes no more room
            windows.hear(*got)
            if windows.sent > asked:
                asked = windows.sent
                connection.send(frame(PING, 0, 0, asked.to_bytes(8, "big")))
    connection.close()

    assert 0 < windows.sent < 2**18
