"""Changes that outlive their callers, and turns on a resource."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core import operations
from proad.core.operations import Operations
from proad.errors import ActivityInProgressError, ShuttingDownError
from proad.model import Verb


class Change:
    """A change that takes the turn on "x" and stays until it is let go."""

    def __init__(self, ops, verb, *, oust=False, key="x"):
        self.let_go = asyncio.Event()
        self.inside = asyncio.Event()
        self.own = None
        self._ops, self._verb, self._oust, self._key = ops, verb, oust, key

    async def __call__(self):
        async with self._ops.turn(self._key, "web", self._verb, oust=self._oust) as self.own:
            self.inside.set()
            await self.let_go.wait()
        return self._verb


@pytest.fixture
def ops():
    return Operations()


async def start(ops, change):
    caller = asyncio.ensure_future(ops.run(change))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return caller


async def test_the_first_has_the_turn_and_the_next_waits(ops):
    first, second = Change(ops, Verb.PAUSE), Change(ops, Verb.RESUME)
    one, two = await start(ops, first), await start(ops, second)
    assert (first.inside.is_set(), second.inside.is_set()) == (True, False)

    first.let_go.set()
    second.let_go.set()

    assert (await one, await two) == (Verb.PAUSE, Verb.RESUME)
    assert (first.own, second.own) == (True, True)


async def test_others_do_not_wait(ops):
    first, second = Change(ops, Verb.PAUSE), Change(ops, Verb.PAUSE, key="y")
    one, two = await start(ops, first), await start(ops, second)

    assert second.inside.is_set()
    first.let_go.set()
    second.let_go.set()
    await asyncio.gather(one, two)


async def test_a_failure_gives_the_turn_back(ops):
    async def fail():
        async with ops.turn("x", "web", Verb.PAUSE):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ops.run(fail)

    after = Change(ops, Verb.RESUME)
    after.let_go.set()
    assert await ops.run(after) == Verb.RESUME
    assert after.own is True


async def test_patience_ends(ops, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE", 0.01)
    first = Change(ops, Verb.RESTART)
    one = await start(ops, first)

    with pytest.raises(ActivityInProgressError) as caught:
        await ops.run(Change(ops, Verb.PAUSE))

    assert caught.value.metadata == {"name": "web", "verb": "RESTART"}
    first.let_go.set()
    await one


@pytest.mark.parametrize("before", [Verb.START, Verb.PAUSE, Verb.CREATE_SNAPSHOT, Verb.DELETE])
async def test_force_waits_for_what_does_not_wait_for_a_guest(ops, monkeypatch, before):
    monkeypatch.setattr(operations, "PATIENCE", 0.01)
    first = Change(ops, before)
    one = await start(ops, first)

    with pytest.raises(ActivityInProgressError):
        await ops.run(Change(ops, Verb.STOP, oust=True))

    first.let_go.set()
    await one


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.DELETE])
async def test_force_passes_a_stop_by(ops, verb):
    stop, force = Change(ops, Verb.STOP), Change(ops, verb, oust=True)
    one = await start(ops, stop)
    force.let_go.set()

    assert await ops.run(force) == verb

    assert force.own is False  # the turn is still the stop's
    assert not one.done()
    stop.let_go.set()
    assert await one == Verb.STOP


async def test_two_at_once_can_oust_a_restart(ops):
    restart = Change(ops, Verb.RESTART)
    one = await start(ops, restart)
    forces = [Change(ops, Verb.STOP, oust=True) for _ in range(2)]
    for force in forces:
        force.let_go.set()

    done = await asyncio.gather(*(ops.run(force) for force in forces))

    assert done == [Verb.STOP, Verb.STOP]
    with pytest.raises(ActivityInProgressError) as caught:
        await one
    assert caught.value.metadata["verb"] == "STOP"


async def test_a_change_outlives_its_caller(ops):
    change = Change(ops, Verb.PAUSE)
    caller = await start(ops, change)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    later = Change(ops, Verb.RESUME)
    (await start(ops, later)).cancel()
    change.let_go.set()
    later.let_go.set()
    await ops.close(1)

    assert later.inside.is_set()


async def test_a_closed_shop_takes_no_change(ops):
    await ops.close(1)

    with pytest.raises(ShuttingDownError):
        await ops.run(Change(ops, Verb.PAUSE))


async def test_closing_waits_and_then_cancels(ops):
    quick, slow = Change(ops, Verb.PAUSE, key="a"), Change(ops, Verb.PAUSE, key="b")
    one, two = await start(ops, quick), await start(ops, slow)
    asyncio.get_running_loop().call_later(0.02, quick.let_go.set)

    await ops.close(1)

    assert await one == Verb.PAUSE
    with pytest.raises(asyncio.CancelledError):
        await two


@pytest.mark.parametrize(
    ("error", "level"),
    [(ShuttingDownError(), "info"), (ZeroDivisionError("a fault"), "error")],
    ids=["refusal", "fault"],
)
async def test_the_log_hears_what_the_caller_does_not(ops, error, level):
    async def fail():
        await asyncio.sleep(0.01)
        raise error

    caller = await start(ops, fail)
    caller.cancel()
    with capture_logs() as logs:
        await ops.close(1)
        await asyncio.sleep(0)

    assert [line["log_level"] for line in logs] == [level]


async def test_what_its_caller_hears_is_not_logged_twice(ops):
    async def fail():
        raise ZeroDivisionError

    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await ops.run(fail)

    assert logs == []


async def test_force_waits_for_force(ops):
    first, second = (Change(ops, Verb.STOP, oust=True) for _ in range(2))
    one, two = await start(ops, first), await start(ops, second)
    assert (first.inside.is_set(), second.inside.is_set()) == (True, False)

    first.let_go.set()
    second.let_go.set()

    assert await asyncio.gather(one, two) == [Verb.STOP, Verb.STOP]
    assert (first.own, second.own) == (True, True)
