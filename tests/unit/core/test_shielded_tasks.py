"""Changes that go to their end though their callers go away."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.errors import ShuttingDownError


class Change:
    """A change that tells how far it has come and ends when it is told to."""

    def __init__(self, tasks, *, shields=False):
        self.begun, self.end, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tasks, self._shields = tasks, shields

    async def __call__(self):
        if self._shields:
            self._tasks.shield()
        self.begun.set()
        try:
            await self.end.wait()
        finally:
            self.ended.set()
        return "done"


@pytest.fixture
def tasks():
    return ShieldedTasks()


async def go_away(caller):
    """Cancel a caller, and wait until it has gone."""
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_run_change_ends_returns_its_result(tasks):
    change = Change(tasks)
    change.end.set()

    assert await tasks.run(change()) == "done"


@pytest.mark.parametrize(
    ("shielded", "shields"), [(True, False), (False, True)], ids=["from the start", "by itself"]
)
async def test_run_caller_cancelled_change_shielded_goes_to_its_end(tasks, shielded, shields):
    change = Change(tasks, shields=shields)
    caller = asyncio.create_task(tasks.run(change(), shielded=shielded))
    await change.begun.wait()

    await go_away(caller)
    await asyncio.sleep(0)
    assert not change.ended.is_set()

    change.end.set()
    await change.ended.wait()


async def test_run_caller_cancelled_change_unshielded_is_cancelled(tasks):
    change = Change(tasks)
    caller = asyncio.create_task(tasks.run(change(), shielded=False))
    await change.begun.wait()

    await go_away(caller)

    await change.ended.wait()
    assert not change.end.is_set()


async def test_run_closed_raises_shutting_down(tasks):
    await tasks.close(1)

    with pytest.raises(ShuttingDownError):
        await tasks.run(Change(tasks)())


async def test_close_waits_for_quick_changes_and_cancels_slow_ones(tasks):
    quick, slow = Change(tasks), Change(tasks)
    callers = [asyncio.create_task(tasks.run(change())) for change in (quick, slow)]
    await slow.begun.wait()
    asyncio.get_running_loop().call_soon(quick.end.set)

    await tasks.close(0.05)

    assert await callers[0] == "done"
    with pytest.raises(asyncio.CancelledError):
        await callers[1]


@pytest.mark.parametrize(
    ("error", "level"),
    [(ShuttingDownError(), "info"), (ZeroDivisionError("a fault"), "error")],
    ids=["refusal", "fault"],
)
async def test_run_caller_gone_change_fails_is_logged(tasks, error, level):
    begun, fail = asyncio.Event(), asyncio.Event()

    async def change():
        begun.set()
        await fail.wait()
        raise error

    caller = asyncio.create_task(tasks.run(change()))
    await begun.wait()
    await go_away(caller)
    with capture_logs() as logs:
        fail.set()
        await tasks.close(1)
        await asyncio.sleep(0)

    assert [line["log_level"] for line in logs] == [level]


async def test_run_caller_waits_change_fails_is_not_logged(tasks):
    async def change():
        raise ZeroDivisionError

    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await tasks.run(change())

    assert logs == []


async def test_shielded_method_caller_cancelled_goes_to_its_end(tasks):
    change = Change(tasks)

    class Service:
        _tasks = tasks

        @shielded
        async def create(self, name):
            return name, await change()

    caller = asyncio.create_task(Service().create("web"))
    await change.begun.wait()
    await go_away(caller)
    change.end.set()

    await change.ended.wait()
    assert await Service().create("db") == ("db", "done")
