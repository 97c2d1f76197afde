"""Watches that nobody reads, and many of them."""

import asyncio
import resource
import time
from contextlib import AsyncExitStack

import grpc
import pytest
from structlog.testing import capture_logs

from proad.drivers.memory import MemoryDriver
from rpc.daemon import BOTH, IMAGE, running
from rpc.test_watch_ends import NARROW, fill, large_containers, token_for
from rpc.watcher import Watcher


async def test_watch_that_nobody_reads_does_not_delay_shutdown(settings):
    async with AsyncExitStack() as stack:
        driver = MemoryDriver()
        daemon = await stack.enter_async_context(
            running(settings(drain_timeout="30s"), [("local", driver)])
        )
        await large_containers(daemon, 50)
        async with grpc.aio.insecure_channel(daemon.address, options=NARROW) as channel:
            watcher = await Watcher(daemon, channel=channel).begin()
            await fill(daemon, 20)

            with capture_logs() as lines:
                await stack.aclose()

            assert "calls cut off" not in {line["event"] for line in lines}
            watcher.call.cancel()


async def test_watch_token_ended_while_nobody_read_delivers_nothing_new(daemon):
    await large_containers(daemon, 50)
    async with grpc.aio.insecure_channel(daemon.address, options=NARROW) as channel:
        token = token_for(daemon, 4)
        began = time.monotonic()  # not before: the token is over in 4 seconds from now
        watcher = await Watcher(daemon, token=token, channel=channel).begin()
        while time.monotonic() < began + 4.5:
            await fill(daemon, 2)
        await daemon.container("late")

        refused = await watcher.end()

    assert refused.reason == "TOKEN_EXPIRED"
    assert "late" not in {name for _, name in watcher.changes_by_name}


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_watch_that_nobody_reads_costs_little_and_has_the_latest_state_later(daemon):
    """The client's side of the connection is in this process and counts as well."""
    await large_containers(daemon, 100)
    async with grpc.aio.insecure_channel(daemon.address, options=NARROW) as channel:
        slow = await Watcher(daemon, channel=channel).begin()
        await fill(daemon, 10)  # what is allocated once is
        before = rss()

        changes = await fill(daemon, 100)
        await daemon.container("last")

        grown = rss() - before
        await slow.until(lambda: slow.state_of("last") == "RUNNING", 60)
        listed = {r.id: r for r in (await daemon.call("ListResources")).resources}
        await slow.until(
            lambda: (
                {i: r.revision for i, r in slow.there.items()}
                == {i: r.revision for i, r in listed.items()}
            ),
            60,
        )

        await slow.until(lambda: slow.synced == len(slow.gaps) + 1, 60)

    assert changes == 10_000
    assert slow.gaps[0] == "WATCH_RESTARTED"
    assert slow.there == listed
    assert grown < 50 * 2**20


@pytest.mark.timeout(600)
async def test_watch_five_hundred_watchers_get_two_hundred_changes(daemon):
    token = daemon.token(*BOTH)
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(daemon.address))
            for _ in range(10)
        ]
        watchers = [
            Watcher(daemon, token=token, channel=channels[number % 10]) for number in range(500)
        ]
        await asyncio.gather(
            *(watcher.until(lambda w=watcher: w.synced, 150) for watcher in watchers)
        )
        names = {f"c{number:03}" for number in range(200)}
        # gRPC cancels calls that a busy server has not accepted within 30 seconds.
        at_once = asyncio.Semaphore(20)

        async def create(name):
            async with at_once:
                spec = {"image": IMAGE, "name": name}
                await daemon.call("CreateContainer", spec=spec, timeout=100)

        await asyncio.gather(*map(create, names))

        await asyncio.gather(
            *(watcher.until(lambda w=watcher: len(w.there) == 200, 150) for watcher in watchers)
        )
        first, *others = watchers
        assert {name for type, name in first.changes_by_name if type == "ADDED"} == names
        assert len(first.changes_by_name) == 200
        for watcher in others:
            assert [c.resource.revision for c in watcher.changes] == [
                c.resource.revision for c in first.changes
            ]
            assert watcher.gaps == []
        for watcher in watchers:
            watcher.call.cancel()
