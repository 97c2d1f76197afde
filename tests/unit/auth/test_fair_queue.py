import asyncio
from functools import partial

import pytest

from proad.auth.fair_queue import FairQueue
from proad.errors import TooManyLoginsError


class Works:
    """Works that each go on until they are told to end, and who began when."""

    def __init__(self, priority=lambda user, address: 0, max_waiting=10):
        self.queue = FairQueue(concurrency=1, priority=priority, max_waiting=max_waiting)
        self.begun = []
        self.tasks = {}
        self._ends = asyncio.Semaphore(0)

    async def come(self, *names):
        """Ask for turns: `ann@2` is the user `ann` at the address `2`."""
        for name in names:
            user, _, address = name.partition("@")
            run = self.queue.run(user, address, partial(self._work, name))
            self.tasks[name] = asyncio.create_task(run)
        await self.settle()

    async def _work(self, name):
        self.begun.append(name)
        await self._ends.acquire()
        return name

    async def settle(self):
        """Let run what can."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def finish(self, number=1):
        """Let as many works end, one after the other."""
        for _ in range(number):
            self._ends.release()
            await self.settle()

    async def order(self):
        """Let all that came come to its end, and say in which order it began."""
        while len(self.begun) < len(self.tasks) and self.queue._waiting:
            await self.finish()
        await self.finish()
        return self.begun


async def test_what_comes_first_begins_first():
    works = Works()
    await works.come("a@1", "b@2", "c@3")
    assert works.begun == ["a@1"]
    assert await works.order() == ["a@1", "b@2", "c@3"]
    assert [task.result() for task in works.tasks.values()] == ["a@1", "b@2", "c@3"]
    await works.come("d@4")
    await asyncio.sleep(0)
    assert works.begun[-1] == "d@4"


async def test_many_of_one_user_do_not_hold_up_another():
    works = Works()
    for number in range(6):
        works.tasks[number] = asyncio.create_task(
            works.queue.run("ann", "1", partial(works._work, f"ann{number}"))
        )
    await works.come("bob@1")
    assert (await works.order()).index("bob@1") == 1


async def test_many_users_at_one_place_do_not_hold_up_another_place():
    works = Works()
    await works.come(*[f"user{number}@1" for number in range(6)], "ann@2")
    assert (await works.order()).index("ann@2") <= 2


async def test_the_least_rank_is_first_and_asked_at_the_turn():
    priorities = {"1": 1, "2": 1, "3": 0}
    works = Works(priority=lambda _user, address: priorities[address])
    await works.come("x@1", "y@1", "a@2", "h@3")
    priorities["1"] = 2  # x failed
    assert await works.order() == ["x@1", "h@3", "a@2", "y@1"]


async def test_one_turn_in_four_is_of_later_ranks():
    works = Works(priority=lambda _user, address: int(address))
    await works.come("first@0", *[f"user{number}@0" for number in range(6)], "far@5", "near@1")
    order = await works.order()
    assert (order.index("near@1"), order.index("far@5")) == (2, 6)


async def test_one_turn_in_four_is_of_whoever_waits_longest():
    works = Works(priority=lambda _user, address: 1 + int(address))
    await works.come("first@0", "last@9", *[f"user{number}@0" for number in range(6)])
    assert (await works.order()).index("last@9") == 4


async def test_the_last_in_order_is_refused_when_too_many_wait():
    priorities = {"flood": 1, "other": 1}
    works = Works(priority=lambda _user, address: priorities[address], max_waiting=3)
    await works.come("running@flood", "a@flood", "b@flood", "c@flood")
    await works.come("ann@other")
    with pytest.raises(TooManyLoginsError) as caught:
        await works.tasks["c@flood"]
    assert caught.value.retry_after.total_seconds() == 1
    priorities["flood"] = 5
    await works.come("d@flood")
    with pytest.raises(TooManyLoginsError):
        await works.tasks["d@flood"]
    assert await works.order() == ["running@flood", "ann@other", "a@flood", "b@flood"]


async def test_whoever_goes_while_waiting_takes_no_turn():
    works = Works()
    await works.come("a@1", "b@2", "c@3")
    works.tasks["b@2"].cancel()
    await asyncio.sleep(0)
    assert await works.order() == ["a@1", "c@3"]
    await works.come("d@4")
    assert works.begun[-1] == "d@4"


async def test_whoever_goes_as_the_turn_comes_gives_it_on():
    works = Works()
    await works.come("a@1", "b@2", "c@3")
    works.queue._dispatch()  # gives b the turn, which it has not heard of yet
    works.tasks["b@2"].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert works.begun == ["a@1", "c@3"]


async def test_what_has_begun_goes_to_its_end_and_keeps_its_room():
    works = Works()
    await works.come("a@1", "b@2")
    works.tasks["a@1"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await works.tasks["a@1"]
    assert works.begun == ["a@1"]
    settled = asyncio.create_task(works.queue.settle())
    await works.finish()
    assert works.begun == ["a@1", "b@2"]
    await settled
    await works.finish()


async def test_a_work_that_fails_gives_its_room_on():
    works = Works()

    async def fail():
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await works.queue.run("a", "1", fail)
    await works.come("b@1")
    await asyncio.sleep(0)
    assert works.begun == ["b@1"]
    await works.finish()


async def test_whoever_goes_as_too_many_come_is_no_fault():
    works = Works(max_waiting=1)
    await works.come("a@1", "b@2")
    works.tasks["b@2"].cancel()
    newcomer = asyncio.create_task(works.queue.run("b", "2", partial(works._work, "again")))
    await works.settle()
    await works.finish(2)
    assert await newcomer == "again"
