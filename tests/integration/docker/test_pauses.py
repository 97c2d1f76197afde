"""Own and external pauses in quick succession: the state shown afterwards is right."""

import asyncio

import docker
import pytest

from eventually import eventually
from integration.docker.container_watcher import in_state, watched
from integration.docker.workloads import DEAF, Make
from proad.drivers.docker import DockerDriver
from proad.errors import StateError
from proad.model import Resource, ResourceState, ResourceView

pytestmark = pytest.mark.docker

RUNNING, PAUSED = ResourceState.RUNNING, ResourceState.PAUSED
SUMMARY = ResourceView.SUMMARY


async def test_pause_and_resume_return_listed_summary(driver: DockerDriver, make: Make):
    id = (await make(*DEAF)).id
    for act, state in ((driver.pause, PAUSED), (driver.resume, RUNNING)):
        after = await act(id)
        assert after.state is state

        async def listed(after=after) -> bool:
            return after in await driver.list_resources()

        await eventually(listed)


async def test_pause_in_quick_succession_settles_in_last_state(driver: DockerDriver, make: Make):
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        for _ in range(10):
            assert (await driver.pause(id)).state is PAUSED
            assert (await driver.resume(id)).state is RUNNING
        assert (await driver.pause(id)).state is PAUSED
        last = await watcher.settled(in_state(PAUSED))
        assert last == await driver.get_resource(id, SUMMARY)


async def test_pause_undone_externally_settles_in_running(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        for _ in range(5):
            count = len(watcher.seen)
            assert (await driver.pause(id)).state is PAUSED
            await asyncio.to_thread(raw.unpause, id)
            await watcher.settled(in_state(RUNNING), after=count)


async def test_pause_racing_external_pause_settles_in_paused(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    """One pause succeeds and the other is refused."""
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        for _ in range(5):
            count = len(watcher.seen)
            ours, _theirs = await asyncio.gather(
                driver.pause(id), asyncio.to_thread(raw.pause, id), return_exceptions=True
            )
            if isinstance(ours, Resource):
                assert ours.state is PAUSED
            else:
                assert isinstance(ours, StateError)
            await watcher.settled(in_state(PAUSED), after=count)
            await asyncio.to_thread(raw.unpause, id)
            await watcher.settled(in_state(RUNNING), after=count)


async def test_pause_after_external_rename_returns_new_name(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        for number in range(5):
            await driver.get_resource(id, SUMMARY)
            count, name = len(watcher.seen), f"{token}-{number}"
            await asyncio.to_thread(raw.rename, id, name)

            def renamed(it: Resource | None, name: str = name) -> bool:
                return it is not None and it.name == name

            await watcher.settled(renamed, after=count)
            assert (await driver.pause(id)).name == name
            assert (await driver.resume(id)).name == name
