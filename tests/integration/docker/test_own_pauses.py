"""Pauses of our own: what is told of them, and what of those that others make meanwhile."""

import asyncio

import docker
import pytest

from eventually import eventually
from integration.docker.container_watcher import SETTLED, watched
from integration.docker.workloads import DEAF, Make
from proad.drivers import own_events
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.transport import Transport
from proad.errors import StateError
from proad.model import Resource, ResourceState, ResourceView

pytestmark = pytest.mark.docker

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED


async def test_our_own_pause_is_not_told_and_costs_one_call(
    driver: DockerDriver, make: Make, monkeypatch: pytest.MonkeyPatch
):
    id = (await make(*DEAF)).id
    calls: list[str] = []
    exchange = Transport.exchange

    def counting(self, method, target, **options):
        if id in target:  # others use this engine, too
            calls.append(f"{method} {target.partition('/containers/')[2]}")
        return exchange(self, method, target, **options)

    monkeypatch.setattr(own_events, "LATE", 60.0)  # the engine may be slow, at times
    async with watched(driver, id) as watcher:
        known = await driver.get_resource(id, ResourceView.SUMMARY)
        monkeypatch.setattr(Transport, "exchange", counting)
        for _ in range(3):
            known = await driver.pause(id, before=known)
            await asyncio.sleep(SETTLED)  # sooner, Docker takes its own pause for news
            known = await driver.resume(id, before=known)
            await asyncio.sleep(SETTLED)
        assert watcher.events == []
        assert calls == [f"POST {id}/{action}" for action in ("pause", "unpause")] * 3


async def test_what_our_own_pause_gives_is_what_is_listed(driver: DockerDriver, make: Make):
    id = (await make(*DEAF)).id
    known = await driver.get_resource(id, ResourceView.SUMMARY)
    for act, state in ((driver.pause, PAUSED), (driver.resume, RUNNING)):
        known = await act(id, before=known)
        assert known.state is state

        async def listed(known: Resource = known) -> bool:
            return known in await driver.list_resources()

        await eventually(listed)


async def test_somebody_else_may_undo_our_pause_at_once(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        known = await driver.get_resource(id, ResourceView.SUMMARY)
        for count in range(1, 6):
            assert (await driver.pause(id, before=known)).state is PAUSED
            await asyncio.to_thread(raw.unpause, id)

            async def reported(count: int = count) -> bool:
                return len(watcher.seen) >= count

            await eventually(reported)
            await asyncio.sleep(SETTLED)
            assert watcher.seen[-1].state is RUNNING


async def test_a_pause_that_comes_too_late_tells_of_the_other_one(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    """Of two at once, one is done and the other refused: the reader hears or is told."""
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        known = await driver.get_resource(id, ResourceView.SUMMARY)
        for _ in range(5):
            watcher.seen.clear()
            ours, _theirs = await asyncio.gather(
                driver.pause(id, before=known),
                asyncio.to_thread(raw.pause, id),
                return_exceptions=True,
            )
            if isinstance(ours, StateError):

                async def reported() -> bool:
                    return bool(watcher.seen)

                await eventually(reported)
                assert watcher.seen[-1].state is PAUSED
            else:
                assert isinstance(ours, Resource)
                assert ours.state is PAUSED
            await asyncio.to_thread(raw.unpause, id)
            await asyncio.sleep(SETTLED)
