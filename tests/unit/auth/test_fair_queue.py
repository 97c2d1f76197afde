import asyncio
from datetime import timedelta
from functools import partial

import pytest

from proad.auth.fair_queue import FairQueue
from proad.errors import TooManyLoginsError


class Works:
    """Works that each run until the test ends them, and the order in which they began."""

    def __init__(self, priority=lambda user, address: 0, max_waiting=10):
        self.queue = FairQueue(concurrency=1, priority=priority, max_waiting=max_waiting)
        self.begun = []
        self.running = 0
        self.tasks = {}
        self._ends = asyncio.Semaphore(0)

    async def submit(self, *names):
        """Queue works: `ann@2` is by the user `ann` at the address `2`."""
        for name in names:
            user, _, address = name.partition("@")
            run = self.queue.run(user, address, partial(self.work, name))
            self.tasks[name] = asyncio.create_task(run)
        await self.settle()

    async def work(self, name):
        self.begun.append(name)
        self.running += 1
        await self._ends.acquire()
        self.running -= 1
        return name

    async def settle(self):
        """Let run what can: the queue waits for nothing but works and tasks of the test."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def finish(self, number=1):
        """End as many works, one after the other."""
        for _ in range(number):
            self._ends.release()
            await self.settle()

    async def order(self):
        """End all works, and return the order in which they began."""
        while self.running:
            await self.finish()
        return self.begun


async def test_run_of_equal_requests_keeps_the_order_of_arrival():
    works = Works()
    await works.submit("a@1", "b@2", "c@3")
    assert works.begun == ["a@1"]
    assert await works.order() == ["a@1", "b@2", "c@3"]
    assert [task.result() for task in works.tasks.values()] == ["a@1", "b@2", "c@3"]
    await works.submit("d@4")
    assert works.begun[-1] == "d@4"
    await works.finish()


async def test_run_of_many_by_one_user_delays_another_user_by_one():
    works = Works()
    for number in range(6):
        works.tasks[number] = asyncio.create_task(
            works.queue.run("ann", "1", partial(works.work, f"ann{number}"))
        )
    await works.submit("bob@1")
    assert (await works.order()).index("bob@1") == 1


async def test_run_of_many_at_one_address_delays_another_address_by_two_at_most():
    works = Works()
    await works.submit(*[f"user{number}@1" for number in range(6)], "ann@2")
    assert (await works.order()).index("ann@2") <= 2


async def test_dispatch_takes_the_lowest_priority_of_that_moment():
    priorities = {"1": 1, "2": 1, "3": 0}
    works = Works(priority=lambda _user, address: priorities[address])
    await works.submit("x@1", "y@1", "a@2", "h@3")
    priorities["1"] = 2  # x failed
    assert await works.order() == ["x@1", "h@3", "a@2", "y@1"]


async def test_dispatch_takes_one_in_four_from_later_priorities():
    works = Works(priority=lambda _user, address: int(address))
    await works.submit("first@0", *[f"user{number}@0" for number in range(6)], "far@5", "near@1")
    order = await works.order()
    assert (order.index("near@1"), order.index("far@5")) == (2, 6)


async def test_dispatch_takes_one_in_four_by_age():
    works = Works(priority=lambda _user, address: 1 + int(address))
    await works.submit("first@0", "last@9", *[f"user{number}@0" for number in range(6)])
    assert (await works.order()).index("last@9") == 4


async def test_run_in_a_full_queue_refuses_the_last_in_order():
    priorities = {"flood": 1, "other": 1}
    works = Works(priority=lambda _user, address: priorities[address], max_waiting=3)
    await works.submit("running@flood", "a@flood", "b@flood", "c@flood")
    await works.submit("ann@other")
    with pytest.raises(TooManyLoginsError) as caught:
        await works.tasks["c@flood"]
    assert caught.value.retry_after == timedelta(seconds=1)
    priorities["flood"] = 5
    await works.submit("d@flood")
    with pytest.raises(TooManyLoginsError):
        await works.tasks["d@flood"]
    assert await works.order() == ["running@flood", "ann@other", "a@flood", "b@flood"]


async def test_run_cancelled_while_queued_takes_no_slot():
    works = Works()
    await works.submit("a@1", "b@2", "c@3")
    works.tasks["b@2"].cancel()
    await works.settle()
    assert await works.order() == ["a@1", "c@3"]
    await works.submit("d@4")
    assert works.begun[-1] == "d@4"
    await works.finish()


async def test_run_cancelled_at_its_dispatch_passes_the_slot_on():
    works = Works()

    async def cancel_b_at_the_end():
        # Callbacks run in the order in which they were added: after the queue's own, which
        # dispatches b, and before b's task is resumed.
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: works.tasks["b@2"].cancel())

    first = asyncio.create_task(works.queue.run("a", "1", cancel_b_at_the_end))
    await works.submit("b@2", "c@3")
    await first
    await works.settle()
    assert works.tasks["b@2"].cancelled()
    assert works.begun == ["c@3"]
    await works.finish()


async def test_run_cancelled_after_its_begin_ends_the_work_and_keeps_the_slot_till_then():
    works = Works()
    await works.submit("a@1", "b@2")
    works.tasks["a@1"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await works.tasks["a@1"]
    assert works.begun == ["a@1"]
    settled = asyncio.create_task(works.queue.settle())
    await works.finish()
    assert works.begun == ["a@1", "b@2"]
    await settled
    await works.finish()


async def test_run_of_a_work_that_fails_frees_the_slot():
    works = Works()

    async def fail():
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await works.queue.run("a", "1", fail)
    await works.submit("b@1")
    assert works.begun == ["b@1"]
    await works.finish()


async def test_run_in_a_full_queue_after_a_cancellation_is_admitted():
    works = Works(max_waiting=1)
    await works.submit("a@1", "b@2")
    works.tasks["b@2"].cancel()
    newcomer = asyncio.create_task(works.queue.run("b", "2", partial(works.work, "again")))
    await works.settle()
    await works.finish(2)
    assert await newcomer == "again"
