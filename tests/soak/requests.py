"""A million odd requests of every method, to a real daemon on the memory driver.

A part of them goes to the decoders alone, which is faster; the rest over the wire, each
under the eyes of a loop that tells when one of its callbacks computes for too long.
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from proa import v1
from proad.errors import InvalidArgumentError
from proad.rpc.limits import FieldLimits
from rpc.daemon import RPCS, Refusal
from rpc.odd_requests import OddRequests
from soak.process import Usage
from soak.setting import daemon

_AT_ONCE = 24
# Seconds that a call may take: a stop waits for its guest, a watch goes on for ever.
_PATIENCE = 0.3
# Seconds of the loop's thread in one callback.
_MOST = 0.020
_WATCHED = Path(__file__).with_name("watched")


@dataclass(frozen=True)
class Size:
    """How many requests: over the wire, and to the decoders alone."""

    wire: int
    decoders: int


FULL = Size(wire=100_000, decoders=900_000)
BRIEF = Size(wire=2_000, decoders=5_000)


def requests(size: Size, seed: int) -> str:
    """Send all requests, and return a report.

    Raises:
        AssertionError: one was a fault of ours, or held the loop for too long.
    """
    slow = _decoders(size.decoders, seed)
    with daemon("--memory", PYTHONPATH=_path()) as running:
        assert running.process is not None
        before = Usage.of(running.process.pid)
        outcomes = asyncio.run(_wire(running, size.wire, seed))
        after = Usage.of(running.process.pid)
        long = [line for line in running.log() if line["event"] == "callback took long"]
        late = [line for line in long if "name='Task-1'" not in str(line["what"])]  # the start
        faults = [line for line in running.log() if line["event"] == "fault"]
    assert not faults, faults[:3]
    assert not late, late[:5]
    codes = ", ".join(f"{code} {count}" for code, count in outcomes.most_common())
    return (
        f"{size.decoders} to the decoders, slowest {slow * 1000:.1f} ms; {size.wire} over the "
        f"wire: {codes}; {before} before, {after} after; no callback over {_MOST * 1000:.0f} ms"
    )


def _path() -> str:
    """Return the PYTHONPATH with the `sitecustomize` that watches the daemon's event loop."""
    return os.pathsep.join([str(_WATCHED), os.environ.get("PYTHONPATH", "")])


def _decoders(count: int, seed: int) -> float:
    """Decode requests and check their limits; return the seconds of the slowest."""
    odd = OddRequests(seed)
    kinds = [(rpc.request, FieldLimits(rpc.request.DESCRIPTOR)) for rpc in RPCS.values()]
    slowest = 0.0
    for number in range(count):
        cls, limits = kinds[number % len(kinds)]
        data = odd.data(cls)
        began = time.thread_time()
        with suppress(InvalidArgumentError, DecodeError):
            limits.check(cls.FromString(data))
        slowest = max(slowest, time.thread_time() - began)
    return slowest


async def _wire(running, count, seed):
    outcomes: Counter[str] = Counter()
    odd = OddRequests(seed + 1)
    login = v1.CreateTokenRequest(username="ada", password="correct horse")
    left = iter(range(count))
    names = [name for name in RPCS if name != "RevokeToken"]

    async with grpc.aio.insecure_channel(running.address) as channel:
        token = ""

        async def renew():
            nonlocal token
            while True:
                token = await _token(channel, login)
                await asyncio.sleep(600)

        async def send():
            for number in left:
                rpc = RPCS[names[number % len(names)]]
                kind: Any = channel.unary_stream if rpc.streams else channel.unary_unary
                call = kind(rpc.path)(
                    odd.data(rpc.request), metadata=[("authorization", f"Bearer {token}")]
                )
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await (call.read() if rpc.streams else call)
                    outcomes["OK"] += 1
                except TimeoutError:
                    outcomes["given up"] += 1
                except grpc.aio.AioRpcError as error:
                    refused = Refusal.of(error)
                    assert refused.reason not in {None, "INTERNAL"}, refused
                    outcomes[refused.code] += 1
                finally:
                    call.cancel()

        token = await _token(channel, login)
        renewing = asyncio.create_task(renew())
        await asyncio.gather(*(send() for _ in range(_AT_ONCE)))
        renewing.cancel()
    return outcomes


async def _token(channel, login):
    data = await channel.unary_unary("/proa.v1.AuthService/CreateToken")(login.SerializeToString())
    return v1.CreateTokenResponse.FromString(data).token
