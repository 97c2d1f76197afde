"""Concurrent verbs, cancelled callers and deadlines."""

import asyncio
import gc
import time
from collections import Counter

import grpc
import pytest

from eventually import consistently, eventually
from proa import v1
from proad.core.verb_runner import VerbTiming
from proad.drivers.memory import MemoryDriver
from proad.rpc.deadline import deadline
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.daemon import IMAGE, RPCS, refusal, running

DEAF = {"proa.memory/ignores-stop": "true"}
LONG = {"seconds": 60}
IMPATIENT = DaemonTiming(verbs=VerbTiming(lock_patience=0.05))


class Held(MemoryDriver):
    """Blocks pauses, resumes and creates until released, and records overlaps."""

    def __init__(self):
        super().__init__()
        self.let_go = asyncio.Event()
        self.entered = asyncio.Event()
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_in_all = 0

    async def _hold(self, id):
        self.inside[id] += 1
        self.most[id] = max(self.most[id], self.inside[id])
        self.most_in_all = max(self.most_in_all, self.inside.total())
        self.entered.set()
        try:
            await self.let_go.wait()
        finally:
            self.inside[id] -= 1

    async def pause(self, id, **options):
        await self._hold(id)
        return await super().pause(id, **options)

    async def resume(self, id, **options):
        await self._hold(id)
        return await super().resume(id, **options)

    async def create_container(self, spec, **options):
        if spec.name == "slow":
            await self._hold(spec.name)
        return await super().create_container(spec, **options)


@pytest.fixture
async def held(serve):
    return await serve(("local", Held()))


async def begun(daemon, name, **request):
    """A call under way in the driver."""
    call = asyncio.ensure_future(daemon.call(name, **request))
    await asyncio.wait_for(daemon.driver.entered.wait(), 30)
    return call


async def test_verbs_on_one_resource_run_one_after_another(held):
    web = await held.container("web")
    pause = await begun(held, "PauseResource", id="web")
    resume = asyncio.ensure_future(held.call("ResumeResource", id=web.id))
    again = asyncio.ensure_future(held.call("PauseResource", id=web.id[:8]))
    await consistently(lambda: held.driver.most[web.id] == 1, during=0.2)
    held.driver.let_go.set()

    outcomes = await asyncio.gather(pause, resume, again, return_exceptions=True)

    assert held.driver.most[web.id] == 1
    # The second pause may come before the resume or after it; each saw the state of its turn.
    assert not isinstance(outcomes[0], Exception)
    refused = [o for o in outcomes if isinstance(o, Exception)]
    assert len(refused) <= 1


async def test_verb_after_waiting_checks_the_state_again(held):
    await held.container("web")
    first = await begun(held, "PauseResource", id="web")
    second = asyncio.ensure_future(refusal(held.call("PauseResource", id="web")))
    await consistently(lambda: not second.done(), during=0.2)
    held.driver.let_go.set()
    await first

    refused = await second

    assert (refused.reason, refused.metadata["state"]) == ("ILLEGAL_STATE", "PAUSED")


async def test_verbs_on_different_resources_run_concurrently(held):
    names = [f"c{n}" for n in range(5)]
    for name in names:
        await held.container(name)

    calls = [asyncio.ensure_future(held.call("PauseResource", id=name)) for name in names]

    async def all_inside():
        return held.driver.inside.total() == len(names)

    await eventually(all_inside)
    held.driver.let_go.set()
    await asyncio.gather(*calls)
    assert held.driver.most_in_all == len(names)


async def test_read_while_verb_runs_does_not_wait(held):
    await held.container("web")
    pause = await begun(held, "PauseResource", id="web")

    assert await held.state("web") == "RUNNING"
    assert await held.names() == ["web"]
    held.driver.let_go.set()
    await pause


async def test_verb_lock_patience_over_names_the_verb_under_way(serve):
    held = await serve(("local", Held()), timing=IMPATIENT)
    web = await held.container("web")
    pause = await begun(held, "PauseResource", id="web")

    refused = await refusal(held.call("StopResource", id="web"))

    assert (refused.code, refused.reason) == ("ABORTED", "ACTIVITY_IN_PROGRESS")
    assert refused.metadata == {"name": "web", "verb": "PAUSE", "path": web.path}
    assert refused.retry_after == 1
    held.driver.let_go.set()
    await pause


async def waiting(daemon, call, **request):
    """A graceful request under way that its domain ignores."""
    task = asyncio.ensure_future(daemon.call(call, id="vm", grace_period=LONG, **request))
    await daemon.under_way("vm")
    assert not task.done()
    return task


async def test_forced_stop_while_graceful_stop_waits_stops_at_once(daemon):
    await daemon.domain("vm", labels=DEAF)
    graceful = await waiting(daemon, "StopResource", mode="STOP_MODE_GRACEFUL")

    forced = await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")

    assert forced.resource.state == v1.RESOURCE_STATE_STOPPED
    assert (await graceful).resource.state == v1.RESOURCE_STATE_STOPPED


async def test_forced_delete_while_graceful_stop_waits_deletes_at_once(daemon):
    await daemon.domain("vm", labels=DEAF)
    graceful = await waiting(daemon, "StopResource")

    await daemon.call("DeleteResource", id="vm", force=True)

    assert (await graceful).resource.state == v1.RESOURCE_STATE_STOPPED
    assert await daemon.names() == []


@pytest.mark.parametrize(
    ("call", "request_", "verb", "state"),
    [
        ("StopResource", {"mode": "STOP_MODE_FORCE"}, "STOP", "STOPPED"),
        ("RestartResource", {"mode": "RESTART_MODE_FORCE"}, "RESTART", "RUNNING"),
    ],
)
async def test_forced_stop_while_restart_waits_preempts_the_restart(
    daemon, call, request_, verb, state
):
    vm = await daemon.domain("vm", labels=DEAF)
    restart = await waiting(daemon, "RestartResource")

    await daemon.call(call, id="vm", **request_)

    refused = await refusal(restart)
    assert (refused.code, refused.reason) == ("ABORTED", "ACTIVITY_IN_PROGRESS")
    assert refused.metadata == {"name": "vm", "verb": verb, "path": vm.path}
    assert await daemon.state("vm") == state


async def test_forced_restart_while_stop_waits_preempts_the_stop(daemon):
    """A stop must not succeed with a resource that runs."""
    await daemon.domain("vm", labels=DEAF)
    graceful = await waiting(daemon, "StopResource")

    restarted = await daemon.call("RestartResource", id="vm", mode="RESTART_MODE_FORCE")

    assert restarted.resource.state == v1.RESOURCE_STATE_RUNNING
    assert (await refusal(graceful)).reason == "ACTIVITY_IN_PROGRESS"


async def test_forced_stop_releases_the_lock_of_the_resource(daemon):
    await daemon.domain("vm", labels=DEAF)
    graceful = await waiting(daemon, "StopResource")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    await graceful

    for call in ("StartResource", "PauseResource", "ResumeResource"):
        await daemon.call(call, id="vm")
    assert await daemon.state("vm") == "RUNNING"


async def test_verb_graceful_stop_under_way_is_aborted_after_lock_patience(serve):
    daemon = await serve(timing=IMPATIENT)
    await daemon.domain("vm", labels=DEAF)
    graceful = await waiting(daemon, "StopResource")

    for call in ("PauseResource", "StopResource", "RestartResource", "DeleteResource"):
        refused = await refusal(daemon.call(call, id="vm"))
        assert (refused.reason, refused.metadata["verb"]) == ("ACTIVITY_IN_PROGRESS", "STOP")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    await graceful


async def test_create_caller_goes_away_is_finished(held):
    call = await begun(held, "CreateContainer", spec={"image": IMAGE, "name": "slow"})
    call.cancel()

    async def unnamed():
        return await held.names() == []

    await consistently(unnamed, during=0.2)
    held.driver.let_go.set()

    async def there():
        return await held.names() == ["slow"]

    await eventually(there)


async def test_verb_caller_goes_away_keeps_the_lock_until_its_end(held):
    await held.container("web")
    pause = await begun(held, "PauseResource", id="web")
    pause.cancel()
    resume = asyncio.ensure_future(held.call("ResumeResource", id="web"))
    await consistently(lambda: not resume.done(), during=0.2)

    held.driver.let_go.set()

    assert (await resume).resource.state == v1.RESOURCE_STATE_RUNNING


async def test_deadline_expires_is_answered_before_the_caller_gives_up(daemon):
    await daemon.domain("vm", labels=DEAF)
    began = time.monotonic()

    refused = await refusal(daemon.call("StopResource", id="vm", grace_period=LONG, timeout=3))

    assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "ENGINE_TIMED_OUT")
    assert time.monotonic() - began < 3
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")


async def test_deadline_of_no_time_answers_deadline_exceeded(held):
    await held.container("web")
    for timeout in (0.0, 0.001, 0.05):
        refused = await refusal(held.call("PauseResource", id="web", timeout=timeout))
        assert refused.code == "DEADLINE_EXCEEDED"
    held.driver.let_go.set()


async def test_deadline_short_lets_an_immediate_answer_through():
    """An answer that needs no time arrives within the shortest deadline."""
    for remaining in (0.02, 0.1, 0.5):
        async with deadline(remaining, RpcTiming().deadline_margin):
            await asyncio.sleep(0)


async def test_verb_deadline_expires_while_it_runs_is_finished(held):
    await held.container("web")
    refused = await refusal(held.call("PauseResource", id="web", timeout=3))
    assert refused.reason == "ENGINE_TIMED_OUT"

    held.driver.let_go.set()

    async def paused():
        return await held.state("web") == "PAUSED"

    await eventually(paused)


async def test_verb_deadline_expires_while_it_waits_is_not_run(held):
    await held.container("web")
    pause = await begun(held, "PauseResource", id="web")
    refused = await refusal(held.call("ResumeResource", id="web", timeout=3))
    assert refused.reason == "ENGINE_TIMED_OUT"

    held.driver.let_go.set()
    await pause

    # The call waits behind the cancelled one.
    refused = await refusal(held.call("PauseResource", id="web"))
    assert (refused.reason, refused.metadata["state"]) == ("ILLEGAL_STATE", "PAUSED")


async def test_create_same_name_many_times_at_once_creates_one(daemon):
    """Of many creates with one name, one succeeds and the others are refused."""
    request = RPCS["CreateContainer"].request(spec={"image": IMAGE, "name": "web"})
    calls = [daemon.call("CreateContainer", spec=request.spec, start=True) for _ in range(50)]

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    made = [o for o in outcomes if not isinstance(o, grpc.aio.AioRpcError)]
    assert len(made) == 1
    assert {o.code().name for o in outcomes if isinstance(o, grpc.aio.AioRpcError)} == {
        "ALREADY_EXISTS"
    }


async def test_callers_that_give_up_leave_no_open_connection(settings):
    """Tokens are checked with the database, whose connection is closed a moment later."""
    for _ in range(5):
        async with running(settings(), [("local", MemoryDriver())]) as daemon:
            calls = [daemon.call("GetHost", timeout=t / 1000) for t in (1, 2, 3, 4) * 5]
            await asyncio.gather(*calls, return_exceptions=True)
    gc.collect()  # an open connection warns, and a warning is an error
