"""Reads that callers share."""

import asyncio
import math

from eventually import eventually
from proad.core.shared_reads import SharedReads, SharedReadTiming
from proad.errors import EngineTimedOutError, EngineUnreachableError

LONG = 60.0


def reads(most=10, **timing):
    usual = {"patience": LONG, "limit": LONG, "good_for": LONG, "retry_after": LONG}
    return SharedReads("a test", SharedReadTiming(**usual | timing), most)


class Source:
    """Answers with how often it was asked, once it may."""

    def __init__(self, *, answers=True):
        self.may = asyncio.Event()
        if answers:
            self.may.set()
        self.asked = 0

    async def read(self):
        self.asked += 1
        await self.may.wait()
        return self.asked


async def test_callers_at_the_same_time_share_a_read():
    source, shared = Source(answers=False), reads()
    calls = [asyncio.create_task(shared.get("a", 1, source.read)) for _ in range(5)]
    await eventually(lambda: source.asked)
    calls.pop().cancel()
    source.may.set()
    assert await asyncio.gather(*calls) == [1] * 4
    assert await shared.get("a", 1, source.read) == 1
    assert source.asked == 1


async def test_result_is_of_its_own_time_and_resource():
    source, shared = Source(), reads()
    assert await shared.get("a", 1, source.read) == 1
    assert shared.known("a", 2) is None
    assert shared.known("b", 1) is None
    assert await shared.get("a", 2, source.read) == 2
    assert shared.known("a", 1) is None
    assert await shared.get("b", 2, source.read) == 3


async def test_result_that_is_no_longer_good_is_read_again():
    source, shared = Source(), reads(good_for=0.0)
    assert await shared.get("a", 1, source.read) == 1
    assert await shared.get("a", 1, source.read) == 2


async def test_failure_is_kept_like_a_result():
    asked = []

    async def fail():
        asked.append(1)
        raise EngineTimedOutError("memory")

    async def fault():
        asked.append(1)
        raise KeyError

    for read in (fail, fault):
        asked.clear()
        shared = reads(good_for=0.0)
        assert [await shared.get("a", 1, read) for _ in range(3)] == [None] * 3
        assert len(asked) == 1
        again = reads(retry_after=0.0)
        assert [await again.get("a", 1, read) for _ in range(3)] == [None] * 3
        assert len(asked) == 4


async def test_lost_engine_is_asked_again_when_it_is_back():
    async def lost():
        raise EngineUnreachableError("memory", "it is lost")

    source, shared = Source(), reads(good_for=0.0)
    assert await shared.get("a", 1, lost) is None
    assert await shared.get("a", 1, source.read) == 1
    assert await shared.get("a", 1, lost) == 1
    assert await shared.get("a", 1, source.read) == 2


async def test_caller_whose_patience_is_over_gets_what_is_known_and_the_read_goes_on():
    source, shared = Source(), reads(patience=0.05, good_for=0.0)
    assert await shared.get("a", 1, source.read) == 1
    source.may.clear()
    assert await shared.get("a", 1, source.read) == 1
    assert source.asked == 2
    # The patience is one for all, so that a read that hangs delays nobody any more.
    async with asyncio.timeout(0.01):
        assert await shared.get("a", 1, source.read) == 1
    assert source.asked == 2
    source.may.set()
    await eventually(lambda: shared.known("a", 1) == 2)


async def test_read_that_does_not_end_is_given_up():
    source, shared = Source(answers=False), reads(limit=0.01)
    assert await shared.get("a", 1, source.read) is None
    assert await shared.get("a", 1, source.read) is None
    assert source.asked == 1


async def test_oldest_makes_room():
    source, shared = Source(), reads(most=3)
    for name in "abcd":
        await shared.get(name, 1, source.read)
    assert len(shared) == 3
    assert shared.known("a", 1) is None
    assert shared.known("b", 1) == 2


async def test_nothing_is_read_while_all_room_is_held():
    source, shared = Source(), reads(most=3, held=math.inf)
    for name in "abc":
        assert await shared.get(name, 1, source.read)
    assert await shared.get("d", 1, source.read) is None
    assert await shared.get("a", 2, source.read) == 4  # it has its place
    assert len(shared) == 3


async def test_reads_under_way_have_a_limit_of_number():
    source, shared = Source(answers=False), reads(most=3, patience=0.0)
    for name in "abcdef":
        assert await shared.get(name, 1, source.read) is None
    await asyncio.sleep(0)
    assert source.asked == 3
    source.may.set()
    await eventually(lambda: len(shared) == 3)
