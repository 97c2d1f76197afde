"""The progress of a request: followed from any place, in bounded memory."""

import asyncio

import pytest

from proad.core.requests.feed import Feed


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
async def end():
    return asyncio.get_running_loop().create_future()


def items(*numbers):
    return [str(number).encode() for number in numbers]


async def collected(feed, end):
    return [item async for item in feed.until(end)]


async def test_until_yields_what_came_before_and_what_comes(feed, end):
    feed.append(b"1")
    following = asyncio.create_task(collected(feed, end))
    await asyncio.sleep(0)
    for item in items(2, 3):
        feed.append(item)
        await asyncio.sleep(0)
    feed.append(b"4")
    end.set_result(None)

    assert await following == items(1, 2, 3, 4)


async def test_until_late_follower_gets_the_last_items(feed, end):
    for number in range(1000):
        feed.append(str(number).encode())
    end.set_result(None)

    assert await collected(feed, end) == items(*range(744, 1000))


async def test_until_slow_follower_skips_the_oldest(feed, end):
    follower = feed.until(end)
    feed.append(b"0")
    assert await anext(follower) == b"0"
    for number in range(1, 1000):
        feed.append(str(number).encode())
    end.set_result(None)

    assert [item async for item in follower] == items(*range(744, 1000))


async def test_until_failed_end_ends_the_feed(feed, end):
    end.set_exception(RuntimeError("the request failed"))

    assert await collected(feed, end) == []
    assert end.exception()
