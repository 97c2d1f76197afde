"""Long work in slices: others are served in between."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.core.actor import act_for
from proad.core.slices import TimeSlicer
from proad.model import Subject


class Other:
    """What the loop serves beside the work."""

    turns = 0

    async def go(self):
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@asynccontextmanager
async def other() -> AsyncIterator[Other]:
    served = Other()
    task = asyncio.create_task(served.go())
    yield served
    task.cancel()


def short():
    """Return a slicer whose slices are over after an item of `work`."""
    return TimeSlicer(0.0005)


async def work(shared, items, done=None, actor=""):
    act_for(Subject(actor))
    async for _ in shared.each(range(items)):
        time.sleep(0.001)  # noqa: ASYNC251 - the work itself
    if done is not None:
        done.append(actor)


async def test_slicer_between_two_slices_serves_others():
    async with other() as served:
        await work(short(), 10)

    assert served.turns >= 9


async def test_slicer_between_slices_of_any_work_serves_others():
    """Not after one slice of each of thirty."""
    shared = short()
    async with other() as served:
        await asyncio.gather(*(work(shared, 5) for _ in range(30)))

    assert served.turns >= 30 * 4


async def test_slicer_of_a_user_with_much_work_does_not_delay_one_with_little():
    shared = short()
    done: list[str] = []
    much = [asyncio.create_task(work(shared, 20, done, "eve")) for _ in range(20)]
    await asyncio.sleep(0)

    await work(shared, 20, done, "ada")

    assert done.count("eve") <= 2
    await asyncio.gather(*much)


async def test_slicer_of_work_that_is_cancelled_delays_nobody():
    shared = short()
    gone = [asyncio.create_task(work(shared, 100)) for _ in range(5)]
    await asyncio.sleep(0.01)
    rest = asyncio.create_task(work(shared, 5))
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()

    async with asyncio.timeout(20):
        await rest
    async with asyncio.timeout(20):
        await work(shared, 5)
