"""Subscriptions: which events about a container are reported, and when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import docker
import pytest

from event_queue import EventQueue
from eventually import consistently
from integration.docker.container_watcher import SETTLED, in_state, watched
from integration.docker.workloads import DEAF, IMAGE, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.timing import DockerTiming, SubscriptionTiming
from proad.model import Resource, ResourceState, ResourceView
from resource_details import container_of

pytestmark = pytest.mark.docker

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED


@pytest.fixture
async def driver(raw: docker.APIClient) -> AsyncIterator[DockerDriver]:
    """A driver that holds early events back until Docker's list shows the change."""
    timing = SubscriptionTiming(check=timedelta(seconds=30))
    async with DockerDriver(timing=DockerTiming(subscription=timing)) as driver:
        yield driver


async def test_subscribe_over_a_container_life_reports_each_state(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    """A read after the last event returns the final state."""
    id = (await make(*DEAF, start=False)).id
    async with watched(driver, id) as watcher:

        async def leads_to(such, what, *args, **options) -> Resource | None:
            before = len(watcher.seen)
            await asyncio.to_thread(what, *args, **options)
            return await watcher.settled(such, after=before)

        await leads_to(in_state(RUNNING), raw.start, id)
        await leads_to(in_state(PAUSED), raw.pause, id)
        await leads_to(in_state(RUNNING), raw.unpause, id)
        assert not any(event.reconfigured for event in watcher.events[-1:])
        await leads_to(lambda it: it.name == f"{token}-new", raw.rename, id, f"{token}-new")
        assert not watcher.events[-1].reconfigured
        await leads_to(
            lambda _: any(event.reconfigured for event in watcher.events),
            raw.update_container,
            id,
            cpu_shares=512,
        )
        ended = await leads_to(
            lambda it: it.state is STOPPED and any(event.ended for event in watcher.events),
            raw.kill,
            id,
        )
        assert ended is not None
        assert ended.state_detail.exit_code == 137
        await leads_to(
            lambda it: it is None and watcher.events[-1].removed, raw.remove_container, id
        )
        assert [event.removed for event in watcher.events].count(True) == 1


async def test_subscribe_event_when_reported_matches_list(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    """Docker sends these events before its list has the change; the driver waits for the list."""
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        for what, state in ((raw.pause, PAUSED), (raw.unpause, RUNNING)) * 3:
            count = len(watcher.seen)
            await asyncio.to_thread(what, id)
            await watcher.settled(after=count)  # wait first: Docker may report its own pause late
            assert {each and each.state for each in watcher.seen[count:]} == {state}
        for number in range(8):
            count, name = len(watcher.seen), f"{token}-{number}"
            await asyncio.to_thread(raw.rename, id, name)
            await watcher.settled(after=count)
            assert {each and each.name for each in watcher.seen[count:]} == {name}
        count = len(watcher.seen)
        await asyncio.to_thread(raw.kill, id)
        await watcher.settled(after=count)
        assert {each and each.state for each in watcher.seen[count:]} == {STOPPED}


async def test_subscribe_when_network_changes_reports_it(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*DEAF, networks=())
    network = raw.create_network(token)["Id"]
    try:
        async with watched(driver, made.id) as watcher:

            def on(*names: str) -> Callable[[Resource | None], bool]:
                return lambda it: (
                    it is not None
                    and [each.network for each in container_of(it).networks] == sorted(names)
                )

            await asyncio.to_thread(raw.connect_container_to_network, made.id, network)
            await watcher.settled(on("bridge", token))
            await asyncio.to_thread(raw.disconnect_container_from_network, made.id, network)
            await watcher.settled(on("bridge"))
    finally:
        raw.remove_container(made.id, force=True)
        raw.remove_network(network)


async def test_subscribe_without_change_reports_nothing(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(*DEAF)
    async with watched(driver, made.id) as watcher:

        def look_around() -> None:
            raw.exec_start(raw.exec_create(made.id, ["true"])["Id"])
            raw.top(made.id)
            list(raw.get_archive(made.id, "/etc")[0])
            raw.kill(made.id, "SIGWINCH")

        await asyncio.to_thread(look_around)
        await consistently(lambda: watcher.events == [], during=SETTLED)


async def test_subscribe_when_health_changes_reports_reconfigured(
    driver: DockerDriver, raw: docker.APIClient, token: str
):
    """A FULL view may be kept until the next event: health and failed starts have events."""
    check = {"test": ["CMD", "true"], "interval": 10**9}
    made = raw.create_container(IMAGE, list(DEAF), name=token, healthcheck=check)
    try:
        async with watched(driver, made["Id"], ResourceView.FULL) as watcher:
            await asyncio.to_thread(raw.start, made["Id"])
            await watcher.settled(
                lambda it: it is not None and container_of(it).health == "HEALTHY"
            )
            assert any(event.reconfigured for event in watcher.events)
    finally:
        raw.remove_container(made["Id"], force=True)


async def test_subscribe_when_start_fails_reports_it(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make("no-such-command", start=False)
    async with watched(driver, made.id) as watcher:
        with pytest.raises(docker.errors.APIError):
            await asyncio.to_thread(raw.start, made.id)
        await watcher.settled()
        assert (await driver.get_resource(made.id)).state_detail.message


async def test_subscribe_with_blocked_loop_reports_every_container(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    """More events than Docker buffers arrive while the event loop is blocked."""
    made = [await make(*DEAF, start=False) for _ in range(5)]
    async with EventQueue.of(driver) as events:
        for _ in range(30):
            for each in made:
                raw.rename(each.id, f"{each.name}-x")
                raw.rename(each.id, each.name)
        found: set[str] = set()
        async with asyncio.timeout(30):
            while not found >= {each.id for each in made}:
                found.add((await anext(events)).id)
