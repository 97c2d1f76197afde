"""When a stream ends with its token, and when it continues because the status is unknown."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from proad.auth.timing import AuthTiming
from proad.auth.token_monitor import TokenMonitor
from proad.auth.tokens import Claims
from proad.errors import (
    DatabaseUnreachableError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
)

SOON = timedelta(milliseconds=10)


def token(name="t", *, seconds=60.0):
    expire_time = datetime.now(UTC) + timedelta(seconds=seconds)
    return Claims("ann", frozenset(), name, 1, expire_time)


class Database:
    """The status of tokens, and the polls of the monitor."""

    def __init__(self):
        self.refusals = {}
        self.failure = None
        self.polled = []
        self._polls: asyncio.Queue[None] = asyncio.Queue()

    async def look_up(self, claims):
        self.polled.append([each.token_id for each in claims])
        self._polls.put_nowait(None)
        if self.failure is not None:
            raise self.failure
        refused = (each for each in claims if each.token_id in self.refusals)
        return {each: self.refusals[each.token_id] for each in refused}

    async def polls(self, number):
        """Wait for as many polls."""
        for _ in range(number):
            await self._polls.get()


@pytest.fixture
def database():
    return Database()


@asynccontextmanager
async def monitoring(database, **timing):
    monitor = TokenMonitor(database.look_up, timing=AuthTiming(**{"poll_interval": SOON} | timing))
    try:
        yield monitor
    finally:
        await monitor.close()


@pytest.fixture
async def monitor(database):
    async with monitoring(database) as monitor:
        yield monitor


async def stream(monitor, claims, *, expires=True):
    async with monitor.while_valid(claims, expires=expires):
        await asyncio.Event().wait()


async def begun(*streams):
    tasks = [asyncio.ensure_future(each) for each in streams]
    await asyncio.sleep(0)
    return tasks


async def test_while_valid_ends_the_streams_of_a_refused_token_and_no_other(monitor, database):
    refused, again, good = await begun(
        stream(monitor, token("a")), stream(monitor, token("a")), stream(monitor, token("b"))
    )
    database.refusals = {"a": TokenInvalidError}

    for task in (refused, again):
        with pytest.raises(TokenInvalidError):
            await task
    assert not good.done()
    assert set(database.polled[0]) == {"a", "b"}
    good.cancel()


async def test_end_ends_a_stream_without_a_poll(database):
    async with monitoring(database, poll_interval=timedelta(hours=1)) as monitor:
        (task,) = await begun(stream(monitor, token()))

        monitor.end("t", TokenRevokedError)

        with pytest.raises(TokenRevokedError):
            await task


async def test_while_valid_ends_at_the_expiry_only_if_asked_to(monitor, database):
    short, long = await begun(
        stream(monitor, token(seconds=0.05)), stream(monitor, token(seconds=0.05), expires=False)
    )

    with pytest.raises(TokenExpiredError):
        await short
    await database.polls(len(database.polled) + 2)
    assert not long.done()
    long.cancel()


async def test_while_valid_continues_while_the_database_is_unreachable(monitor, database):
    database.failure = DatabaseUnreachableError()
    (task,) = await begun(stream(monitor, token()))
    await database.polls(5)
    assert not task.done()
    task.cancel()


async def test_while_valid_ends_once_the_database_is_unreachable_for_too_long(database):
    database.failure = DatabaseUnreachableError()
    async with monitoring(database, database_patience=timedelta(milliseconds=50)) as monitor:
        (task,) = await begun(stream(monitor, token()))
        with pytest.raises(DatabaseUnreachableError):
            await task


async def test_poll_that_fails_is_repeated(monitor, database):
    database.failure = RuntimeError("a fault of ours")
    (task,) = await begun(stream(monitor, token()))
    await database.polls(1)
    database.failure, database.refusals = None, {"t": TokenInvalidError}

    with pytest.raises(TokenInvalidError):
        await task


async def test_while_valid_passes_the_bodys_own_failures_on(monitor):
    with pytest.raises(TimeoutError):
        async with monitor.while_valid(token(), expires=True):
            raise TimeoutError
    (task,) = await begun(stream(monitor, token()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_poll_reads_no_token_without_a_stream(monitor, database):
    async with monitor.while_valid(token("over"), expires=True):
        pass
    (task,) = await begun(stream(monitor, token("open")))
    await database.polls(2)
    assert database.polled[:2] == [["open"], ["open"]]
    task.cancel()
