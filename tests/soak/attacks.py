"""The latency of one client while another attacks, compared with as many small refused calls."""

import asyncio
import gzip
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1
from rpc.raw_http2 import DATA, END_STREAM, Connection, frame
from soak.process import Sampler, highest
from soak.setting import daemon

_RATE = 50
_KINDS, _PATHS, _IDS, _SCOPES = 2_000_000, 100_000, 300_000, 2_000_000
# The victim's slowest calls may take so much longer than beside small refused calls.
_MOST = 1.3
_MOST_MB = 32
_TRIES = 6


@dataclass(frozen=True)
class Attack:
    """A request that is sent again and again.

    Attributes:
        path: of the method.
        body: of the message.
        packed: whether `body` is sent as gzip.
        known: whether it comes with a `basic` token.
    """

    path: str
    body: bytes
    packed: bool = False
    known: bool = False


_SERVICE = "/proa.v1.ResourceService"
SMALL = Attack(f"{_SERVICE}/GetResource", b"")


def attacks() -> Mapping[str, Attack]:
    """Return the attacks that took the daemon's memory or time before requests had limits."""
    kinds = v1.ResourceFilter(kinds=[v1.RESOURCE_KIND_DOMAIN] * _KINDS)
    paths = FieldMask(paths=["name"] * _PATHS)
    ids = v1.StreamStatsRequest(ids=["web"] * _IDS)
    login = v1.CreateTokenRequest(scopes=[v1.SCOPE_BASIC] * _SCOPES)
    listing = v1.ListResourcesRequest
    return {
        "8 MiB packed, no token": Attack(
            "/proa.v1.ContainerService/CreateContainer",
            gzip.compress(b"\x0a\xfa\xff\xff\x03" + b"\x62\x00" * (2**22 - 3)),
            packed=True,
        ),
        "scopes": Attack("/proa.v1.AuthService/CreateToken", login.SerializeToString()),
        "kinds": Attack(
            f"{_SERVICE}/ListResources", listing(filter=kinds).SerializeToString(), known=True
        ),
        "kinds, 60 KiB": Attack(
            f"{_SERVICE}/ListResources",
            listing(filter=v1.ResourceFilter(kinds=kinds.kinds[:60_000])).SerializeToString(),
            known=True,
        ),
        "paths": Attack(
            f"{_SERVICE}/ListResources", listing(read_mask=paths).SerializeToString(), known=True
        ),
        "ids": Attack(f"{_SERVICE}/StreamStats", ids.SerializeToString(), known=True),
    }


def under_attack(seconds: float, seed: int) -> str:
    """Measure each, and tell.

    Raises:
        AssertionError: the victim had to wait for too long, or the daemon grew.
    """
    figures = []
    with daemon("--memory") as running, running.client() as client:
        assert running.process is not None
        login = v1.CreateTokenRequest(username="eve", password="correct horse")
        token = client.auth.CreateToken(login).token
        spec = v1.ContainerSpec(image="proa-test/busybox:1", name="web")
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        request = v1.GetResourceRequest(id="web")

        def beside(attack: Attack) -> float:
            return _p99(
                lambda: client.resources.GetResource(request, timeout=60),
                (running.address, attack, token, seconds),
            )

        beside(SMALL)
        with Sampler(running.process.pid) as sampler:
            for name, attack in attacks().items():
                ratios = []
                for _ in range(_TRIES):  # the machine does other work, too
                    small, large = beside(SMALL), beside(attack)
                    ratios.append(large / small)
                    if ratios[-1] <= _MOST:
                        break
                figures.append(f"{name} p99 {large * 1000:.1f} ms : {small * 1000:.1f} ms")
                assert min(ratios) <= _MOST, (name, ratios)
        grown = highest(sampler.samples).rss - sampler.samples[0].rss
        assert grown <= _MOST_MB, grown
    return f"{'; '.join(figures)}; {grown:.1f} MB more at the most"


def _p99(call: Callable[[], object], attack: tuple[str, Attack, str, float]) -> float:
    """Return the 99th percentile of a call's seconds while an attack lasts."""
    attacker = get_context("spawn").Process(target=_attack, args=attack)
    attacker.start()
    taken = []
    while attacker.is_alive():
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
        time.sleep(0.005)
    assert attacker.exitcode == 0
    return statistics.quantiles(taken, n=100)[-1]


def _attack(address: str, attack: Attack, token: str, seconds: float) -> None:
    send = _raw if attack.packed else _calls
    asyncio.run(send(address, attack, token, seconds))


async def _calls(address: str, attack: Attack, token: str, seconds: float) -> None:
    metadata = [("authorization", f"Bearer {token}")] if attack.known else []
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        method: Any = channel.unary_unary(attack.path)
        calls = []
        for turn in range(int(seconds * _RATE)):
            calls.append(asyncio.ensure_future(_refused(method(attack.body, metadata=metadata))))
            await asyncio.sleep(1 / _RATE if turn else 0)
        await asyncio.gather(*calls)


async def _refused(call: grpc.aio.UnaryUnaryCall[bytes, bytes]) -> None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() not in {
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }:
            raise
    else:
        raise AssertionError("the attack was served")


async def _raw(address: str, attack: Attack, _token: str, seconds: float) -> None:
    """Send what is packed already: to pack it is the attacker's work but once."""
    connection = await Connection.open(address)
    reading = asyncio.create_task(connection.closed())
    message = b"\1" + len(attack.body).to_bytes(4, "big") + attack.body
    for turn in range(int(seconds * _RATE)):
        stream = turn * 2 + 1
        connection.begin(attack.path, stream=stream, grpc_encoding="gzip")
        connection.send(frame(DATA, END_STREAM, stream, message))
        await asyncio.sleep(1 / _RATE)
    connection.close()
    reading.cancel()
