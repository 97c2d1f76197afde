"""Changes that outlive their callers, and turns on a resource."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core import operations
from proad.core.operations import Operations
from proad.errors import ActivityInProgressError, ShuttingDownError
from proad.model import Verb


class Change:
    """A change that takes the turn on "x", begins and stays until it is let go."""

    def __init__(self, ops, verb, *, oust=False, key="x", begins=True):
        self.let_go = asyncio.Event()
        self.inside = asyncio.Event()
        self.own = None
        self._ops, self._verb, self._oust, self._key = ops, verb, oust, key
        self._begins = begins

    async def __call__(self):
        async with self._ops.turn(self._key, "web", self._verb, oust=self._oust) as self.own:
            if self._begins:
                self._ops.begin()
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


async def test_patience_is_for_all_before_it_together(ops, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE", 0.05)
    last = asyncio.Event()

    async def one_after_the_other():
        for _ in range(1000):
            async with ops.turn("x", "web", Verb.PAUSE):
                await asyncio.sleep(0.005)
            if last.is_set():
                break

    relay = await start(ops, one_after_the_other)
    with pytest.raises(ActivityInProgressError):
        await ops.run(Change(ops, Verb.STOP))
    last.set()
    await relay


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


async def test_force_beside_a_stop_keeps_the_turn_when_that_ends(ops):
    stop, force, begin = (
        Change(ops, Verb.STOP),
        Change(ops, Verb.STOP, oust=True),
        Change(ops, Verb.START),
    )
    one, two, three = [await start(ops, change) for change in (stop, force, begin)]
    stop.let_go.set()
    begin.let_go.set()
    await one
    for _ in range(10):
        await asyncio.sleep(0)
    assert not begin.inside.is_set()

    force.let_go.set()

    assert await two == Verb.STOP
    assert await three == Verb.START
    assert begin.own is True


async def test_what_ousts_a_stop_waits_for_the_force_beside_it(ops):
    stop, force = Change(ops, Verb.STOP), Change(ops, Verb.STOP, oust=True)
    restart = Change(ops, Verb.RESTART, oust=True)
    one, two, three = [await start(ops, change) for change in (stop, force, restart)]
    with pytest.raises(ActivityInProgressError):
        await one
    assert not restart.inside.is_set()

    force.let_go.set()
    restart.let_go.set()

    assert await two == Verb.STOP
    assert await three == Verb.RESTART
    assert restart.own is True


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


async def gone(caller):
    """Have a caller go away."""
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_change_that_has_begun_outlives_its_caller(ops):
    change, over = Change(ops, Verb.PAUSE), asyncio.Event()

    async def tells_its_end():
        await change()
        over.set()

    await gone(await start(ops, tells_its_end))
    assert change.inside.is_set()
    change.let_go.set()

    await over.wait()


async def test_a_change_without_turns_begins_at_once(ops):
    let_go, over = asyncio.Event(), asyncio.Event()

    async def create():
        await let_go.wait()
        over.set()

    await gone(await start(ops, create))
    let_go.set()

    await over.wait()


async def test_a_change_that_waits_for_its_turn_goes_with_its_caller(ops):
    first, second, third = (Change(ops, verb) for verb in (Verb.PAUSE, Verb.DELETE, Verb.RESUME))
    one = await start(ops, first)
    two = await start(ops, second)
    three = await start(ops, third)
    await gone(two)

    for change in (first, second, third):
        change.let_go.set()
    await asyncio.gather(one, three)

    assert (second.inside.is_set(), third.inside.is_set()) == (False, True)


@pytest.mark.parametrize("oust", [False, True])
async def test_a_change_that_has_not_begun_in_its_turn_goes_with_its_caller(ops, oust):
    stop = Change(ops, Verb.STOP)
    one = await start(ops, stop)
    if not oust:
        stop.let_go.set()
        await one
    change = Change(ops, Verb.STOP, oust=oust, begins=False)
    caller = await start(ops, change)
    assert change.inside.is_set()
    await gone(caller)

    stop.let_go.set()
    after = Change(ops, Verb.START)
    after.let_go.set()
    assert await ops.run(after) == Verb.START


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

    assert list(await asyncio.gather(one, two)) == [Verb.STOP, Verb.STOP]
    assert (first.own, second.own) == (True, True)
