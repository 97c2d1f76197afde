"""The lock of a resource: who waits, who shares it, and who is preempted."""

import asyncio

import pytest

from proad.core.keyed_lock import KeyedLock
from proad.errors import ActivityInProgressError
from proad.model import Verb

PATIENCE = 60.0
"""Seconds that no test waits."""


class Holder:
    """A task that holds the lock of a key until it is told to release it."""

    def __init__(self, lock, verb, *, preempt=False, key="x"):
        self.acquired = asyncio.Event()
        self.release = asyncio.Event()
        self.alone = None
        self._lock, self._verb, self._preempt, self._key = lock, verb, preempt, key
        self.task = asyncio.create_task(self._hold())

    async def _hold(self):
        hold = self._lock.hold(self._key, "web", self._verb, preempt=self._preempt)
        async with hold as self.alone:
            self.acquired.set()
            await self.release.wait()
        return self._verb


@pytest.fixture
def lock():
    return KeyedLock(PATIENCE)


async def blocked():
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_hold_key_is_held_waits_for_release(lock):
    first, second = Holder(lock, Verb.PAUSE), Holder(lock, Verb.RESUME)
    await blocked()
    assert (first.acquired.is_set(), second.acquired.is_set()) == (True, False)

    first.release.set()
    second.release.set()

    assert (await first.task, await second.task) == (Verb.PAUSE, Verb.RESUME)
    assert (first.alone, second.alone) == (True, True)


async def test_hold_other_key_does_not_wait(lock):
    first, second = Holder(lock, Verb.PAUSE), Holder(lock, Verb.PAUSE, key="y")

    await second.acquired.wait()

    first.release.set()
    second.release.set()
    await asyncio.gather(first.task, second.task)


async def test_hold_block_fails_releases_the_lock(lock):
    with pytest.raises(ZeroDivisionError):
        async with lock.hold("x", "web", Verb.PAUSE):
            raise ZeroDivisionError

    async with lock.hold("x", "web", Verb.RESUME) as alone:
        assert alone


async def test_hold_waiter_cancelled_leaves_the_others_in_order(lock):
    first, second, third = (Holder(lock, verb) for verb in (Verb.PAUSE, Verb.DELETE, Verb.RESUME))
    await blocked()
    second.task.cancel()
    await blocked()
    assert second.task.cancelled()

    first.release.set()
    third.release.set()

    assert (await first.task, await third.task) == (Verb.PAUSE, Verb.RESUME)


async def test_hold_patience_over_raises_activity_in_progress():
    lock = KeyedLock(0.01)
    first = Holder(lock, Verb.RESTART)
    await first.acquired.wait()

    with pytest.raises(ActivityInProgressError) as caught:
        await Holder(lock, Verb.PAUSE).task

    assert caught.value.metadata == {"name": "web", "verb": "RESTART"}
    first.release.set()
    await first.task


async def test_hold_several_holders_before_share_one_patience():
    """A waiter gives up though each holder before it is quick."""
    lock = KeyedLock(0.05)
    over = asyncio.Event()

    async def relay():
        while not over.is_set():
            async with lock.hold("x", "web", Verb.PAUSE):
                await asyncio.sleep(0.005)

    task = asyncio.create_task(relay())
    await blocked()
    with pytest.raises(ActivityInProgressError):
        await Holder(lock, Verb.STOP).task
    over.set()
    await task


@pytest.mark.parametrize("held", [Verb.START, Verb.PAUSE, Verb.CREATE_SNAPSHOT, Verb.DELETE])
async def test_preempt_holder_is_no_graceful_verb_waits(held):
    lock = KeyedLock(0.01)
    first = Holder(lock, held)
    await first.acquired.wait()

    with pytest.raises(ActivityInProgressError):
        await Holder(lock, Verb.STOP, preempt=True).task

    first.release.set()
    assert await first.task == held


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.DELETE])
async def test_preempt_graceful_stop_shares_its_lock(lock, verb):
    stop = Holder(lock, Verb.STOP)
    force = Holder(lock, verb, preempt=True)
    force.release.set()

    assert await force.task == verb

    assert (stop.alone, force.alone) == (True, False)
    assert not stop.task.done()
    stop.release.set()
    assert await stop.task == Verb.STOP


async def test_preempt_stop_ends_first_force_keeps_the_lock(lock):
    stop, force, start = (
        Holder(lock, Verb.STOP),
        Holder(lock, Verb.STOP, preempt=True),
        Holder(lock, Verb.START),
    )
    await blocked()
    stop.release.set()
    start.release.set()
    await stop.task
    await blocked()
    assert not start.acquired.is_set()

    force.release.set()

    assert await force.task == Verb.STOP
    assert await start.task == Verb.START
    assert start.alone


async def test_preempt_restart_of_shared_stop_waits_for_the_force_beside_it(lock):
    stop, force = Holder(lock, Verb.STOP), Holder(lock, Verb.STOP, preempt=True)
    restart = Holder(lock, Verb.RESTART, preempt=True)
    with pytest.raises(ActivityInProgressError):
        await stop.task
    await blocked()
    assert not restart.acquired.is_set()

    force.release.set()
    restart.release.set()

    assert await force.task == Verb.STOP
    assert await restart.task == Verb.RESTART
    assert restart.alone


async def test_preempt_two_at_once_cancel_a_restart_once(lock):
    restart = Holder(lock, Verb.RESTART)
    await restart.acquired.wait()
    forces = [Holder(lock, Verb.STOP, preempt=True) for _ in range(2)]
    for force in forces:
        force.release.set()

    done = await asyncio.gather(*(force.task for force in forces))

    assert done == [Verb.STOP, Verb.STOP]
    with pytest.raises(ActivityInProgressError) as caught:
        await restart.task
    assert caught.value.metadata["verb"] == "STOP"


async def test_preempt_holder_goes_by_force_waits(lock):
    first, second = (Holder(lock, Verb.STOP, preempt=True) for _ in range(2))
    await blocked()
    assert (first.acquired.is_set(), second.acquired.is_set()) == (True, False)

    first.release.set()
    second.release.set()

    assert (await first.task, await second.task) == (Verb.STOP, Verb.STOP)
    assert (first.alone, second.alone) == (True, True)
