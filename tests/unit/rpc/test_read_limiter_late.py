"""Messages that come too late: one timer ends all reads, each at its time."""

import asyncio

import pytest

from proad.rpc.read_limiter import ReadLimiter

LONG = 3600
SHORT = 0.05


async def read(limiter, patience, begun=None):
    async with limiter.slot("a", patience):
        if begun is not None:
            begun.set()
        await asyncio.Event().wait()


async def started(*bodies):
    tasks = [asyncio.ensure_future(body) for body in bodies]
    await asyncio.sleep(0)
    return tasks


async def test_read_that_is_late_ends_and_others_go_on():
    limiter = ReadLimiter(slots=5)
    late, later, never, last = await started(
        read(limiter, SHORT),
        read(limiter, LONG),
        read(limiter, float("inf")),
        read(limiter, 2 * SHORT),
    )

    for task in (late, last):
        with pytest.raises(TimeoutError):
            await task

    assert not later.done()
    assert not never.done()
    later.cancel()
    never.cancel()
    await asyncio.gather(later, never, return_exceptions=True)
    assert limiter.idle


async def test_read_that_begins_later_with_a_shorter_timeout_ends_first():
    limiter = ReadLimiter(slots=5)
    (patient,) = await started(read(limiter, LONG))

    with pytest.raises(TimeoutError):
        await read(limiter, SHORT)

    assert not patient.done()
    patient.cancel()


async def test_read_that_begins_when_all_others_have_ended_ends_in_time():
    """The timer of those before it is over, or was for one that is not there any more."""
    limiter = ReadLimiter(slots=5)
    for _ in range(3):
        async with limiter.slot("a", SHORT):
            pass
        with pytest.raises(TimeoutError):
            await read(limiter, SHORT)


async def test_read_that_is_cancelled_when_it_is_late_raises_the_cancellation():
    limiter = ReadLimiter(slots=5)
    (task,) = await started(read(limiter, SHORT))
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert limiter.idle


async def test_timeout_of_the_block_itself_is_raised_as_it_is():
    limiter = ReadLimiter(slots=5)
    with pytest.raises(TimeoutError, match="mine"):
        async with limiter.slot("a", LONG):
            raise TimeoutError("mine")
    assert limiter.idle
