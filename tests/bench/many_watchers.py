"""Many watchers at once: whether each gets all changes, and the memory that they take."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import grpc

from bench.daemon import Daemon
from bench.load import Load
from bench.plan import Plan
from bench.process import rss_bytes
from bench.report import Row, Target
from bench.workers import working
from eventually import wait_until
from proa import v1

_METHOD = "/proa.v1.ResourceService/WatchResources"
_PER_CHANNEL = 50
_PATIENCE = 120.0
_SETTLE = 2.0
_NOTE = (
    "Containers and domains are renamed with the engines' own calls, as fast as those go, "
    "each once; grpc.aio watchers in a process of their own, 50 a channel, of all resources. "
    "A delivery is one of these changes at one watcher, the initial state not counted. "
    "Memory: VmRSS of the daemon, before the first watcher and after the last delivery, while "
    "all still watch; peak: the highest seen in between."
)


@dataclass(frozen=True)
class _Progress:
    """The progress of the watchers."""

    synced: int
    deliveries: int
    gaps: int
    ended: list[str]


def many_watchers(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """Rename resources while many watch."""
    half = plan.watched_changes // 2
    containers = {id: f"{load.name}-new-c{n}" for n, id in enumerate(load.containers[:half])}
    domains = {
        id: f"{load.name}-new-d{n}"
        for n, id in enumerate(load.domains[: plan.watched_changes - half])
    }
    expected = containers | domains
    wanted = plan.watchers * len(expected)
    time.sleep(_SETTLE)
    before = highest = rss_bytes(daemon.pid)
    arguments = (f"unix:{daemon.socket}", daemon.token, plan.watchers, expected)
    with working(_watchers, *arguments) as watchers:

        def progress() -> _Progress:
            nonlocal highest
            highest = max(highest, rss_bytes(daemon.pid))
            answer: _Progress = watchers.ask("progress")
            if answer.ended:
                raise RuntimeError(f"{len(answer.ended)} watches ended: {answer.ended[0]}")
            return answer

        wait_until(
            lambda: progress().synced >= plan.watchers,
            lambda: f"{progress().synced} watches are synced",
            within=_PATIENCE,
        )
        begin = time.monotonic()
        for id, name in containers.items():
            load.docker("POST", f"/containers/{id}/rename?name={name}")
        for id, name in domains.items():
            load.domain(id).rename(name)
        renamed = time.monotonic()
        while (last := progress()).deliveries < wanted and time.monotonic() < renamed + _PATIENCE:
            time.sleep(0.1)
        delivered = time.monotonic()
        time.sleep(_SETTLE)
        last, after = progress(), rss_bytes(daemon.pid)
    yield Row(
        work=f"{plan.watchers} watchers, {len(expected)} changes: delivered",
        ours=f"{last.deliveries} in {delivered - begin:.1f} s, {last.gaps} gaps",
        bare=f"made in {renamed - begin:.1f} s",
        figure=100 * last.deliveries / wanted,
        unit="%",
        target=Target("≥", 100),
        note=_NOTE,
    )
    yield Row(
        work=f"{plan.watchers} watchers, {len(expected)} changes: memory",
        ours=f"{before / 2**20:.0f} → {after / 2**20:.0f} MB, peak {highest / 2**20:.0f}",
        figure=(after - before) / 2**20,
        unit="MB",
        target=Target("≤", 50),
        note=_NOTE,
    )


class _Watcher:
    """One watcher, and the expected changes that it has received."""

    def __init__(self, expected: Mapping[str, str]) -> None:
        self.synced = False
        self.gaps = 0
        self.seen: set[str] = set()
        self.ended = ""
        self._expected = expected

    async def follow(self, channel: grpc.aio.Channel, token: str) -> None:
        method = channel.unary_stream(
            _METHOD,
            v1.WatchResourcesRequest.SerializeToString,
            v1.WatchResourcesResponse.FromString,
        )
        try:
            async for response in method(
                v1.WatchResourcesRequest(), metadata=[("authorization", f"Bearer {token}")]
            ):
                for event in response.events:
                    self._take(event)
            self.ended = "without a word"
        except grpc.aio.AioRpcError as error:
            self.ended = f"{error.code().name}: {error.details()}"

    def _take(self, event: v1.WatchEvent) -> None:
        match event.WhichOneof("event"):
            case "change":
                change = event.change
                name = self._expected.get(change.resource.id)
                if change.type != v1.CHANGE_TYPE_EXISTING and change.resource.name == name:
                    self.seen.add(change.resource.id)
            case "bookmark":
                self.synced = self.synced or event.bookmark.synced
            case "gap":
                self.gaps += 1


def _watchers(
    connection: "Connection[Any, Any]",
    address: str,
    token: str,
    count: int,
    expected: Mapping[str, str],
) -> None:
    asyncio.run(_watch(connection, address, token, [_Watcher(expected) for _ in range(count)]))


async def _watch(
    connection: "Connection[Any, Any]", address: str, token: str, watchers: list[_Watcher]
) -> None:
    # Otherwise gRPC would lay all channels to one address over one connection.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    channels = [
        grpc.aio.insecure_channel(address, options)
        for _ in range(-(-len(watchers) // _PER_CHANNEL))
    ]
    tasks = [
        asyncio.create_task(watcher.follow(channels[number // _PER_CHANNEL], token))
        for number, watcher in enumerate(watchers)
    ]
    try:
        while True:
            await asyncio.to_thread(connection.recv)
            connection.send(
                _Progress(
                    synced=sum(watcher.synced for watcher in watchers),
                    deliveries=sum(len(watcher.seen) for watcher in watchers),
                    gaps=sum(watcher.gaps for watcher in watchers),
                    ended=[watcher.ended for watcher in watchers if watcher.ended],
                )
            )
    finally:
        for task in tasks:
            task.cancel()
