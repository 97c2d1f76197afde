"""GetResource as fast as it goes, with a token, against a bare echo server without one."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import grpc

from bench.daemon import Daemon
from bench.echo import METHOD, echoing
from bench.load import Load
from bench.plan import Plan
from bench.process import cpu_seconds
from bench.report import Row, Target
from bench.workers import Worker, working
from proa import v1

_AT_ONCE = 32
_NOTE = (
    f"Calls a second of one grpc.aio client process, {_AT_ONCE} at once on one channel, in "
    "alternation against the daemon and against a grpc.aio server with one method, no interceptor "
    "and no token, that answers every call with the same message; medians of all slices. "
    "In brackets: processor time of the server per call."
)


def throughput(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """Call both servers alternately, and compare the rates."""
    id = load.running_containers[0]
    with echoing(daemon.get(id)) as echo, working(_callers, id) as callers:
        ours = _Side(callers, daemon.pid, f"unix:{daemon.socket}", daemon.token)
        bare = _Side(callers, echo.pid, f"unix:{echo.socket}", "")
        for side in (ours, bare):
            side.run(plan.slice_seconds)
            side.forget()
        for number in range(plan.slices):
            for side in (ours, bare) if number % 2 else (bare, ours):
                side.run(plan.slice_seconds)
    yield Row(
        work="GetResource, calls a second : bare echo",
        ours=str(ours),
        bare=str(bare),
        figure=ours.rate / bare.rate,
        target=Target("≥", 0.6),
        note=_NOTE,
    )


class _Side:
    """One of the two servers, and its rates."""

    def __init__(self, callers: Worker, pid: int, target: str, token: str) -> None:
        self._callers = callers
        self._pid = pid
        self._target = target
        self._token = token
        self._rates: list[float] = []
        self._cpu: list[float] = []

    def run(self, seconds: float) -> None:
        before = cpu_seconds(self._pid)
        calls, taken = self._callers.ask((self._target, self._token, seconds))
        self._rates.append(calls / taken)
        self._cpu.append((cpu_seconds(self._pid) - before) / calls)

    def forget(self) -> None:
        self._rates.clear()
        self._cpu.clear()

    @property
    def rate(self) -> float:
        return statistics.median(self._rates)

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s ({statistics.median(self._cpu) * 1e6:.0f} µs)"


def _callers(connection: "Connection[Any, Any]", id: str) -> None:
    asyncio.run(_call_when_told(connection, v1.GetResourceRequest(id=id)))


async def _call_when_told(
    connection: "Connection[Any, Any]", request: v1.GetResourceRequest
) -> None:
    channels: dict[str, grpc.aio.Channel] = {}
    while True:
        target, token, seconds = await asyncio.to_thread(connection.recv)
        if target not in channels:
            channels[target] = grpc.aio.insecure_channel(target)
        method = channels[target].unary_unary(
            METHOD, v1.GetResourceRequest.SerializeToString, v1.GetResourceResponse.FromString
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        begin = time.perf_counter()
        end = begin + seconds

        async def calls() -> int:
            count = 0
            while time.perf_counter() < end:  # noqa: B023 - all end before the next turn
                await method(request, metadata=metadata)  # noqa: B023 - as above
                count += 1
            return count

        counts = await asyncio.gather(*(calls() for _ in range(_AT_ONCE)))
        connection.send((sum(counts), time.perf_counter() - begin))
