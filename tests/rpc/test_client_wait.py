"""The wait of both clients, over daemons and an engine that are lost and return."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest

import proa
import proa.aio
from eventually import eventually
from proa import v1
from proad.core.wait_service import WaitTiming
from proad.drivers.memory import MemoryDriver
from proad.timing import DaemonTiming
from rpc.daemon import BOTH, running

RUNNING, PAUSED = v1.RESOURCE_STATE_RUNNING, v1.RESOURCE_STATE_PAUSED
STOPPED, FAILED = v1.RESOURCE_STATE_STOPPED, v1.RESOURCE_STATE_FAILED


class Counting(MemoryDriver):
    """Counts the reads of single resources, such as those of a wait for readiness."""

    reads = 0

    async def get_resource(self, *args):
        self.reads += 1
        return await super().get_resource(*args)


class Place:
    """One address, at which one daemon after the other serves an engine."""

    def __init__(self, settings):
        self.settings = settings
        self.engine = Counting()
        self.stack = AsyncExitStack()

    async def start(self):
        timing = DaemonTiming(waits=WaitTiming(look_again=0.05))
        serving = running(self.settings, [("local", self.engine)], timing=timing)
        self.daemon = await self.stack.enter_async_context(serving)

    async def begun(self, waiting):
        """Wait until a wait for readiness has looked."""
        before = self.engine.reads
        await eventually(lambda: self.engine.reads > before or waiting.done())
        assert not waiting.done()


@pytest.fixture
async def place(settings, tmp_path):
    place = Place(settings(listen=f"unix:{tmp_path}/s"))
    async with place.stack:
        await place.start()
        await place.daemon.container("web")
        yield place


@pytest.fixture(params=["sync", "aio"])
def wait(request, place):
    """Begin a wait of either client; gives a task."""
    daemon = place.daemon
    token = daemon.token(*BOTH)

    def once(*states, id="web", **settings):
        with proa.connect(daemon.address, token=token) as client:
            return client.wait(id, *states, **settings)

    async def once_aio(*states, id="web", **settings):
        async with proa.aio.connect(daemon.address, token=token) as client:
            return await client.wait(id, *states, **settings)

    def begin(*states, **settings):
        if request.param == "sync":
            return asyncio.ensure_future(asyncio.to_thread(once, *states, **settings))
        return asyncio.ensure_future(once_aio(*states, **settings))

    return begin


async def test_client_wait_for_what_holds_returns_the_resource(wait, place):
    web = await place.daemon.call("GetResource", id="web", view="RESOURCE_VIEW_SUMMARY")

    assert await wait(PAUSED, RUNNING) == web.resource
    assert await wait(ready=True) == web.resource
    assert await wait(has_address=True) == web.resource


async def test_client_wait_for_several_states_returns_at_the_first(wait, place):
    waiting = wait(STOPPED, FAILED, timeout=60)

    await place.daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")

    assert (await waiting).state in {STOPPED, FAILED}


async def test_client_wait_for_a_removal_returns_nothing(wait, place):
    waiting = wait(removed=True)

    await place.daemon.call("DeleteResource", id="web", force=True)

    assert await waiting is None
    assert await wait(removed=True, id="nothing") is None


async def test_client_wait_for_an_unknown_resource_raises_not_found(wait):
    with pytest.raises(proa.NotFound) as caught:
        await wait(RUNNING, id="nothing")

    assert caught.value.reason == "RESOURCE_NOT_FOUND"


async def test_client_wait_for_what_cannot_come_raises(wait, place):
    await place.daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")

    with pytest.raises(proa.FailedPrecondition) as caught:
        await wait(ready=True)

    assert caught.value.reason == "CONDITION_IMPOSSIBLE"


@pytest.mark.parametrize("seconds", [0, 0.2])
async def test_client_wait_past_its_timeout_raises_wait_timed_out(wait, seconds):
    with pytest.raises(proa.WaitTimedOut) as caught:
        await wait(PAUSED, timeout=seconds)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.metadata["state"] == "RUNNING"
    if seconds:
        assert "is RUNNING after 0.2 s" in caught.value.message


@pytest.mark.parametrize("asked", [{}, {"ready": True, "removed": True}])
async def test_client_wait_for_not_exactly_one_condition_raises_value_error(wait, asked):
    with pytest.raises(ValueError, match="wait for one of"):
        await wait(**asked)


async def test_client_wait_outlives_a_restart_of_the_daemon(wait, place):
    await place.daemon.call("PauseResource", id="web")
    waiting = wait(ready=True)
    await place.begun(waiting)

    await place.stack.aclose()
    await place.start()
    await place.begun(waiting)
    await place.daemon.call("ResumeResource", id="web")

    assert (await waiting).name == "web"


async def test_client_wait_counts_no_resource_that_gets_the_name_later(wait, place):
    await place.daemon.call("PauseResource", id="web")
    waiting = wait(ready=True)
    await place.begun(waiting)

    await place.stack.aclose()
    await place.start()
    await place.daemon.call("DeleteResource", id="web", force=True)
    await place.daemon.container("web")

    with pytest.raises(proa.Error) as caught:
        await waiting
    # By whether it was back before the removal.
    assert caught.value.reason in {"CONDITION_IMPOSSIBLE", "RESOURCE_NOT_FOUND"}


async def test_client_wait_that_the_engine_is_away_from_goes_on(wait, place):
    await place.daemon.call("PauseResource", id="web")
    waiting = wait(ready=True)
    await place.begun(waiting)

    place.engine.lose()
    place.engine.come_back()
    await place.daemon.call("ResumeResource", id="web")

    assert (await waiting).name == "web"


async def test_client_wait_without_a_daemon_raises_unavailable(wait, place):
    await place.stack.aclose()

    with pytest.raises(proa.Unavailable):
        await wait(RUNNING)


async def test_client_wait_of_a_closed_client_raises_cancelled(place):
    await place.daemon.call("PauseResource", id="web")
    client = proa.connect(place.daemon.address, token=place.daemon.token(*BOTH))
    waiting = asyncio.ensure_future(asyncio.to_thread(lambda: client.wait("web", ready=True)))
    await place.begun(waiting)

    client.close()

    with pytest.raises(proa.Cancelled):
        await waiting


async def test_client_wait_of_a_cancelled_task_ends_its_call(place):
    await place.daemon.call("PauseResource", id="web")
    async with proa.aio.connect(place.daemon.address, token=place.daemon.token(*BOTH)) as client:
        waiting = asyncio.ensure_future(client.wait("web", ready=True))
        await place.begun(waiting)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
