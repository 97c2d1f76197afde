"""Many calls, and watches that end in every way: the daemon's memory must level off."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import proa
from integration.daemon.conftest import Daemon
from proa import v1
from soak.process import Sampler, Usage
from soak.setting import credentials

_WORKERS = 8
_UNARY, _WATCHES = 40, 4  # of each round
_RESOURCES = 8
# Enough changes to fill the history and what is kept of encoded events.
_FILL = 17_000


# What counts as level, last third to middle third: the allocator gives and takes some.
_LEVEL = 1.02


@dataclass(frozen=True)
class Plan:
    """How many rounds of 40 calls and 4 watches are made."""

    rounds: int
    fill: int


SHORT = Plan(rounds=25, fill=0)
FULL = Plan(rounds=2500, fill=_FILL)


def endurance(daemon: Daemon, plan: Plan, seed: int, *, kind: str = "domain") -> str:
    """Make all calls; the daemon holds as much in the last third as in the middle one."""
    assert daemon.process is not None
    pid = daemon.process.pid
    begin = time.monotonic()
    try:
        counts, thirds = asyncio.run(_Crowd(daemon.address, pid, plan, seed, kind).run())
    finally:
        code = daemon.process.poll()
        assert code is None, f"the daemon died: {code}"
    # gRPC complains by itself where an answer finds no caller any more.
    faults = [
        line
        for line in daemon.log()
        if line["level"] == "error" and line["logger"] != "grpc._cython.cygrpc"
    ]
    assert not faults, faults[:3]
    _, middle, last, _ = thirds
    if plan.fill:
        assert last.rss <= middle.rss * _LEVEL, thirds
        assert last.threads <= middle.threads, thirds
        assert last.files <= middle.files + _WORKERS, thirds
    return (
        f"{dict(sorted(counts.items()))} in {time.monotonic() - begin:.0f} s; the most in each "
        f"third, and at rest: {'; '.join(map(str, thirds))}"
    )


class _Crowd:
    """Callers that each make calls in sequence."""

    def __init__(self, address: str, pid: int, plan: Plan, seed: int, kind: str) -> None:
        self._address = address
        self._pid = pid
        self._plan = plan
        self._chance = random.Random(seed)
        self._kind = kind
        self._rounds = plan.rounds
        self._counts: dict[str, int] = {}
        self._names = [f"proa-test-soak{number}" for number in range(_RESOURCES)]

    async def run(self) -> tuple[dict[str, int], list[Usage]]:
        client = proa.aio.connect(self._address, **credentials())
        try:
            for name in self._names:
                await self._make(client, name)
            await asyncio.gather(
                *(self._fill(client, n, self._plan.fill // _RESOURCES) for n in self._names)
            )
            with Sampler(self._pid) as sampler:
                await asyncio.gather(*(self._worker(client, name) for name in self._names))
                settled = await self._settled()
            return self._counts, [*sampler.thirds(), settled]
        finally:
            for name in self._names:
                with suppress(proa.NotFound):
                    await client.resources.DeleteResource(
                        v1.DeleteResourceRequest(id=name, force=True)
                    )
            await client.close()

    async def _make(self, client: proa.aio.Client, name: str) -> None:
        if self._kind == "domain":
            spec = v1.DomainSpec(name=name, memory_bytes=32 << 20, diskless=True, networkless=True)
            await client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec, start=True))
        else:
            container = v1.ContainerSpec(image="proa-test/busybox:1", name=name)
            await client.containers.CreateContainer(
                v1.CreateContainerRequest(spec=container, start=True)
            )

    async def _fill(self, client: proa.aio.Client, name: str, changes: int) -> None:
        for _ in range(changes // 4):  # each call is reported twice
            await client.resources.PauseResource(v1.PauseResourceRequest(id=name))
            await client.resources.ResumeResource(v1.ResumeResourceRequest(id=name))

    async def _worker(self, client: proa.aio.Client, name: str) -> None:
        ways = (self._unread, self._one_message, self._synced, self._mid_stream, self._late)
        while self._rounds > 0:
            self._rounds -= 1
            for _ in range(_UNARY):
                await self._count("call", self._call(client, name))
            for way in self._chance.sample(ways, _WATCHES - 2):
                await self._count(way.__name__.strip("_"), way(client))
            await self._count("channel closed", self._channel_closed())
            await self._count("abandoned", self._abandoned())

    async def _count(self, what: str, work: Awaitable[None]) -> None:
        await work
        self._counts[what] = self._counts.get(what, 0) + 1

    async def _call(self, client: proa.aio.Client, name: str) -> None:
        resources = client.resources
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: resources.GetResource(v1.GetResourceRequest(id=name)),
            lambda: resources.GetResource(
                v1.GetResourceRequest(id=name, view=v1.RESOURCE_VIEW_SUMMARY)
            ),
            lambda: resources.ListResources(v1.ListResourcesRequest()),
            lambda: resources.ListResources(
                v1.ListResourcesRequest(filter=v1.ResourceFilter(name_prefix=name))
            ),
            lambda: client.auth.GetCaller(v1.GetCallerRequest()),
            lambda: client.hosts.GetHost(v1.GetHostRequest()),
            lambda: resources.GetResource(v1.GetResourceRequest(id="proa-test-none")),
            lambda: resources.GetResource(v1.GetResourceRequest(id="a/b/c/d")),
            lambda: client.auth.GetCaller(
                v1.GetCallerRequest(), metadata=(("authorization", "Bearer x"),)
            ),
            lambda: resources.ListResources(v1.ListResourcesRequest(), timeout=0.001),
            lambda: _cancelled(resources.ListResources(v1.ListResourcesRequest())),
            lambda: resources.PauseResource(v1.PauseResourceRequest(id=name)),
            lambda: resources.ResumeResource(v1.ResumeResourceRequest(id=name)),
        )
        with suppress(proa.Error):
            await self._chance.choice(calls)()

    async def _unread(self, client: proa.aio.Client) -> None:
        """Cancel before the first message."""
        call = client.resources.WatchResources(v1.WatchResourcesRequest())
        await asyncio.sleep(self._chance.choice((0, 0, 0.001, 0.005)))
        call.cancel()

    async def _one_message(self, client: proa.aio.Client) -> None:
        call = client.resources.WatchResources(v1.WatchResourcesRequest())
        await call.read()
        call.cancel()

    async def _synced(self, client: proa.aio.Client) -> None:
        """Cancel while the stream is idle, or the next change is in flight."""
        call = client.resources.WatchResources(v1.WatchResourcesRequest())
        await _until_synced(call)
        await asyncio.sleep(self._chance.choice((0, 0.002)))
        call.cancel()

    async def _mid_stream(self, client: proa.aio.Client) -> None:
        """Cancel after changes."""
        call = client.resources.WatchResources(v1.WatchResourcesRequest())
        await _until_synced(call)
        with suppress(TimeoutError):
            await asyncio.wait_for(call.read(), 0.05)
        call.cancel()

    async def _late(self, client: proa.aio.Client) -> None:
        """Let the deadline end the watch."""
        call = client.resources.WatchResources(v1.WatchResourcesRequest(), timeout=0.02)
        with suppress(proa.Error):
            while await call.read():
                pass

    async def _channel_closed(self) -> None:
        client = await self._another()
        call = client.resources.WatchResources(v1.WatchResourcesRequest())
        with suppress(proa.Error):
            await call.read()
        await client.close()

    async def _abandoned(self) -> None:
        """Abandon the watch: its channel is closed with its last reference."""
        client = await self._another()
        call = client.resources.WatchResources(v1.WatchResourcesRequest())
        await call.read()
        del call
        await client.close()

    async def _another(self) -> proa.aio.Client:
        """A connection of its own, without a login of its own."""
        if not hasattr(self, "_token"):
            async with proa.aio.connect(self._address) as client:
                request = v1.CreateTokenRequest(**credentials())
                self._token = (await client.auth.CreateToken(request)).token
        own = (("grpc.use_local_subchannel_pool", 1),)
        return proa.aio.connect(self._address, token=self._token, options=own)

    async def _settled(self) -> Usage:
        await asyncio.sleep(2)
        return Usage.of(self._pid)


async def _cancelled(call: object) -> None:
    await asyncio.sleep(0)
    call.cancel()  # type: ignore[attr-defined]


async def _until_synced(call: object) -> None:
    while True:
        response = await call.read()  # type: ignore[attr-defined]
        if any(event.bookmark.synced for event in response.events):
            return
