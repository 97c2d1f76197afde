"""The client's watch over daemons and an engine that are lost and return."""

import asyncio
from contextlib import AsyncExitStack

import pytest

import proa
import proa.aio
from proa import v1
from proad.drivers.memory import MemoryDriver
from rpc.daemon import BOTH, running


class ClientWatcher:
    """A watcher that applies the events of a watch."""

    def __init__(self, watch):
        self.watch = watch
        self.there = {}
        self.gaps = []
        self.synced = 0

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                event = await anext(self.watch)
                self._take(event)

    def _take(self, event):
        match event:
            case proa.Change(type=v1.CHANGE_TYPE_REMOVED, resource=gone):
                del self.there[gone.name]
            case proa.Change(resource=now):
                self.there[now.name] = now
            case proa.Gap(kind=kind):
                self.gaps.append(v1.GapKind.Name(kind).removeprefix("GAP_KIND_"))
            case proa.Synced():
                self.synced += 1


@pytest.fixture
async def start(settings, tmp_path):
    """Runs a daemon at always the same address, one after the other."""
    stack = AsyncExitStack()
    at = settings(listen=f"unix:{tmp_path}/s")

    async def begin(driver):
        await stack.aclose()
        return await stack.enter_async_context(running(at, [("local", driver)]))

    async with stack:
        yield begin


async def test_client_watch_resource_gone_while_daemon_and_engine_were_away_is_removed(
    start, tmp_path
):
    daemon = await start(MemoryDriver())
    await daemon.container("web")
    token = daemon.token(*BOTH)
    async with proa.aio.connect(f"unix:{tmp_path}/s", token=token) as client:
        watcher = ClientWatcher(client.watch())
        await watcher.until(lambda: watcher.synced)

        engine = MemoryDriver()  # has nothing
        engine.lose()
        await start(engine)
        await watcher.until(lambda: watcher.synced == 2)
        assert watcher.gaps == ["WATCH_RESTARTED", "ENGINE_LOST"]
        assert watcher.there.keys() == {"web"}

        engine.come_back()
        await watcher.until(lambda: not watcher.there)
        await watcher.until(lambda: "ENGINE_RESYNCED" in watcher.gaps)
