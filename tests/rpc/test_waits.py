"""WaitResource over the wire."""

import asyncio
import time
from typing import Any

import pytest

from eventually import eventually
from proa import v1
from proad.core.wait_service import WaitTiming
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineUnreachableError
from proad.timing import DaemonTiming
from rpc.daemon import RPCS, refusal

READY: dict[str, Any] = {"ready": {}}
ADDRESS: dict[str, Any] = {"has_address": {}}
GONE: dict[str, Any] = {"gone": {}}


def state(*names):
    return {"in_state": {"states": [f"RESOURCE_STATE_{name}" for name in names]}}


def begin(daemon, *, token=None, within=None, **fields):
    """Begin a call; `within` is its deadline in seconds."""
    rpc = RPCS["WaitResource"]
    token = token or daemon.token("basic")
    return daemon.send(rpc, rpc.request(**fields), token=token, timeout=within)


def wait(daemon, id, condition, seconds=30):
    return begin(daemon, id=id, condition=condition, timeout={"seconds": seconds})


async def until_done(call):
    return await call


async def known_as(daemon, health):
    """Wait until the daemon knows whether its engine answers."""

    async def known():
        (engine,) = (await daemon.call("GetHost")).host.engines
        return v1.EngineHealth.Name(engine.health) == f"ENGINE_HEALTH_{health}"

    await eventually(known)


@pytest.fixture
async def web(daemon):
    return await daemon.container("web")


@pytest.mark.parametrize("condition", [READY, ADDRESS, state("RUNNING")])
@pytest.mark.parametrize("make", ["container", "domain"])
async def test_wait_for_what_holds_returns_at_once(daemon, make, condition):
    made = await getattr(daemon, make)("it")

    answer = await wait(daemon, made.path, condition)

    assert (
        answer.resource
        == (await daemon.call("GetResource", id="it", view="RESOURCE_VIEW_SUMMARY")).resource
    )


async def test_wait_for_gone_of_what_is_not_there_returns_at_once(daemon):
    assert not (await wait(daemon, "nope", GONE)).HasField("resource")
    assert (await refusal(wait(daemon, "nope", READY))).reason == "RESOURCE_NOT_FOUND"


async def test_wait_returns_when_the_condition_comes(daemon, web):
    calls = {
        name: asyncio.ensure_future(until_done(wait(daemon, "web", condition)))
        for name, condition in (
            ("paused", state("PAUSED")),
            ("ended", state("STOPPED", "FAILED")),
            ("gone", GONE),
        )
    }

    await daemon.call("PauseResource", id="web")
    assert (await calls["paused"]).resource.state == v1.RESOURCE_STATE_PAUSED
    assert not calls["ended"].done()
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    assert (await calls["ended"]).resource.id == web.id
    assert not calls["gone"].done()
    await daemon.call("DeleteResource", id="web")
    assert not (await calls["gone"]).HasField("resource")


@pytest.mark.parametrize("condition", [READY, ADDRESS, state("PAUSED")])
async def test_wait_for_what_is_deleted_is_impossible(daemon, web, condition):
    if condition in (READY, ADDRESS):
        await daemon.call("PauseResource", id="web")
    else:
        await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    call = asyncio.ensure_future(refusal(wait(daemon, "web", condition)))
    await asyncio.sleep(0)

    await daemon.call("DeleteResource", id="web", force=True)

    refused = await call
    assert refused.reason in {"CONDITION_IMPOSSIBLE", "RESOURCE_NOT_FOUND"}


@pytest.mark.parametrize("condition", [READY, ADDRESS])
@pytest.mark.parametrize("make", ["container", "domain"])
async def test_wait_for_what_has_ended_is_impossible(daemon, make, condition):
    await getattr(daemon, make)("it")
    await daemon.call("StopResource", id="it", mode="STOP_MODE_FORCE")

    refused = await refusal(wait(daemon, "it", condition))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "CONDITION_IMPOSSIBLE")
    assert refused.metadata["state"] == "STOPPED"
    assert "start it first" in refused.message
    outcome = "have an address" if condition is ADDRESS else "be ready"
    assert refused.message.startswith(f"'it' will not {outcome}: it has ended")


async def test_wait_for_what_is_not_started_yet_goes_on(daemon):
    await daemon.container("web", start=False)
    call = asyncio.ensure_future(until_done(wait(daemon, "web", READY)))

    await daemon.call("StartResource", id="web")

    assert (await call).resource.state == v1.RESOURCE_STATE_RUNNING


async def test_wait_past_its_timeout_says_what_is_there(daemon, web):
    refused = await refusal(
        begin(daemon, id="web", condition=state("PAUSED"), timeout={"nanos": 1_000_000})
    )

    assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "WAIT_TIMED_OUT")
    assert refused.metadata == {"name": "web", "path": web.path, "state": "RUNNING"}


async def test_wait_ends_before_the_deadline_of_the_call(daemon, web):
    call = begin(daemon, id="web", condition=state("PAUSED"), within=1)

    assert (await refusal(call)).reason == "WAIT_TIMED_OUT"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "condition"),
        ({"condition": {}}, "condition"),
        ({"condition": state()}, "condition.in_state.states"),
        ({"condition": {"in_state": {"states": [0]}}}, "condition.in_state.states[0]"),
        ({"condition": {"in_state": {"states": [99]}}}, "condition.in_state.states[0]"),
        ({"condition": {"in_state": {"states": [1] * 33}}}, "condition.in_state.states"),
        ({"condition": READY, "timeout": {"seconds": 3601}}, "timeout"),
        ({"condition": READY, "timeout": {"seconds": 0}}, "timeout"),
        ({"condition": READY, "id": ""}, "id"),
    ],
)
async def test_wait_with_a_wrong_field_is_refused(daemon, web, fields, field):
    refused = await refusal(begin(daemon, **{"id": "web", **fields}))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


class Away(MemoryDriver):
    """An engine that is away while `lost` is set."""

    lost = False

    async def probe(self):
        if self.lost:
            raise EngineUnreachableError(self.name, "away")
        return await super().probe()


async def test_wait_while_the_engine_is_lost_fails_in_the_end(serve):
    driver = Away()
    daemon = await serve(("local", driver))
    await daemon.container("web")
    driver.lost = True
    await known_as(daemon, "UNREACHABLE")

    began = time.monotonic()
    refused = await refusal(wait(daemon, "web", READY, seconds=1))

    assert refused.reason == "ENGINE_UNREACHABLE"
    assert time.monotonic() - began >= 1


async def test_wait_outlives_a_loss_of_the_engine(serve):
    driver = Away()
    timing = DaemonTiming(waits=WaitTiming(look_again=0.05))
    daemon = await serve(("local", driver), timing=timing)
    await daemon.container("web")
    driver.lost = True
    await known_as(daemon, "UNREACHABLE")
    call = asyncio.ensure_future(until_done(wait(daemon, "web", READY)))

    driver.lost = False

    assert (await call).resource.name == "web"


async def test_wait_ends_with_its_token(daemon, web):
    token = daemon.token("basic")
    call = asyncio.ensure_future(
        refusal(begin(daemon, id="web", condition=state("PAUSED"), token=token))
    )

    await daemon.send(RPCS["RevokeToken"], v1.RevokeTokenRequest(), token=token)

    assert (await call).reason == "TOKEN_REVOKED"
