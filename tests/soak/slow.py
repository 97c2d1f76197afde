"""Watchers that do not read, beside many that do."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc

import proa
from proa import v1
from soak.external_actors import DockerExternalActor, ExternalActor, LibvirtExternalActor, work
from soak.process import Sampler, Usage
from soak.setting import Setting, credentials, listed, wait_through_outages
from soak.watcher import Replica, Watcher

_PER_CONNECTION = 50
# `make bench` holds 500 watchers to the same growth; a single one needs far less.
_GROWTH = 50
_KEPT = 9_000  # changes, and what fits into the window
_METHOD = "/proa.v1.ResourceService/WatchResources"


@dataclass(frozen=True)
class Plan:
    """How many watchers there are, how many of them do not read, and for how long.

    Args:
        changes: how many are made meanwhile, at the least.
        silence: seconds that those who do not read are silent, at the least.
    """

    watchers: int
    silent: int
    changes: int
    silence: float


SHORT = Plan(watchers=20, silent=10, changes=300, silence=5)
ONE = Plan(watchers=2, silent=1, changes=10_000, silence=60)
CROWD = Plan(watchers=500, silent=250, changes=2_000, silence=60)


def slow(setting: Setting, plan: Plan, seed: int) -> str:
    """Check that watchers that did not read have the latest state once they do."""
    chance = random.Random(seed)
    actors: list[ExternalActor] = [
        LibvirtExternalActor(setting, random.Random(chance.random())) for _ in range(2)
    ] + [DockerExternalActor(setting, random.Random(chance.random()))]
    before = Usage.of(setting.pid)
    with setting.client() as client, Watcher(client) as steady:
        crowd = _Crowd(setting, plan)
        crowd.start()
        try:
            wait_through_outages(crowd.listening, "all watch")
            watching = Usage.of(setting.pid)
            begin = time.monotonic()
            with Sampler(setting.pid) as sampler:
                _change(actors, plan, steady)
                threading.Event().wait(max(0.0, begin + plan.silence - time.monotonic()))
                made = time.monotonic() - begin
                crowd.read_on()
                settled = wait_through_outages(
                    lambda: crowd.agrees(listed(client)), "all watchers have the latest state"
                )
        finally:
            crowd.stop()
        steady.check()
        changes = steady.replica.changes
    highest = max(usage.rss for usage in sampler.samples)
    assert highest - before.rss <= _GROWTH, (before, watching, highest)
    # The daemon keeps fewer changes than that for slow watchers.
    assert plan.changes < _KEPT or crowd.restarts >= plan.silent, crowd.restarts
    faults = [fault for replica in crowd.replicas for fault in replica.faults]
    assert not faults, faults[:5]
    return (
        f"{plan.watchers} watchers of {changes} changes in {made:.0f} s, {plan.silent} of whom did "
        f"not read meanwhile; all had the latest state {settled:.1f} s later, {crowd.restarts} "
        f"by a new beginning; RSS {before.rss:.0f} MB, with all watching {watching.rss:.0f}, at "
        f"most {highest:.0f}; {before} → {Usage.of(setting.pid)}"
    )


def _change(actors: list[ExternalActor], plan: Plan, steady: Watcher) -> None:
    threads = [
        threading.Thread(target=work, args=(actor, lambda: steady.replica.changes >= plan.changes))
        for actor in actors
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steady.check()


class _Crowd:
    """Watchers in an event loop of their own."""

    def __init__(self, setting: Setting, plan: Plan) -> None:
        self.replicas = [Replica() for _ in range(plan.watchers)]
        self._address = setting.daemon.address
        self._silent = plan.silent
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._reading = asyncio.Event()
        self._over = asyncio.Event()
        self._ended: list[BaseException] = []

    def start(self) -> None:
        self._thread.start()

    def listening(self) -> bool:
        assert not self._ended, self._ended[0]
        return all(replica.synced for replica in self.replicas)

    def read_on(self) -> None:
        self._loop.call_soon_threadsafe(self._reading.set)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)

    def agrees(self, there: dict[str, v1.Resource]) -> bool:
        assert not self._ended, self._ended[0]
        return all(replica.synced and replica.resources == there for replica in self.replicas)

    @property
    def restarts(self) -> int:
        return sum(
            kind == v1.GAP_KIND_WATCH_RESTARTED
            for replica in self.replicas
            for _, kind in replica.gaps
        )

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._watch())
        finally:
            self._loop.close()

    async def _watch(self) -> None:
        async with _connections(self._address, len(self.replicas)) as connections:
            tasks = [
                asyncio.create_task(
                    self._follow(connections[number // _PER_CONNECTION], replica, number)
                )
                for number, replica in enumerate(self.replicas)
            ]
            await self._over.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, watch: "_Watch", replica: Replica, number: int) -> None:
        try:
            async for response in watch(v1.WatchResourcesRequest()):
                replica.take(response.events)
                if replica.synced and number < self._silent and not self._reading.is_set():
                    await self._reading.wait()
            self._ended.append(RuntimeError("a watch ended without a word"))
        except grpc.RpcError as error:
            self._ended.append(error)


_Watch = Callable[[v1.WatchResourcesRequest], AsyncIterable[v1.WatchResourcesResponse]]


@asynccontextmanager
async def _connections(address: str, watchers: int) -> AsyncIterator[list[_Watch]]:
    """Connect; few watches share a connection, as those of different callers would."""
    async with proa.aio.connect(address) as client:
        login = await client.auth.CreateToken(v1.CreateTokenRequest(**credentials()))
    own = [
        # Otherwise gRPC would lay all channels to one address over one connection.
        ("grpc.use_local_subchannel_pool", 1),
        # A client that does not read receives no more than HTTP/2's initial window.
        ("grpc.http2.bdp_probe", 0),
    ]
    async with AsyncExitStack() as stack:

        async def connect() -> _Watch:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, own))
            method = channel.unary_stream(
                _METHOD,
                v1.WatchResourcesRequest.SerializeToString,
                v1.WatchResourcesResponse.FromString,
            )
            token = (("authorization", f"Bearer {login.token}"),)
            return lambda request: method(request, metadata=token)

        yield [await connect() for _ in range(-(-watchers // _PER_CONNECTION))]
