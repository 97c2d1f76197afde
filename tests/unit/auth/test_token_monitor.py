"""What ends when a token is no longer good, and what goes on when nobody can tell."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

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


class Lookup:
    def __init__(self):
        self.refusals = {}
        self.failure = None
        self.asked = []
        self.looks = asyncio.Queue()

    async def __call__(self, claims):
        self.asked.append([one.token_id for one in claims])
        self.looks.put_nowait(None)
        if self.failure is not None:
            raise self.failure
        return self.refusals


@pytest.fixture
def lookup():
    return Lookup()


@pytest.fixture
async def monitor(lookup):
    made = TokenMonitor(lookup, interval=SOON, patience=timedelta(0))
    yield made
    await made.close()


async def held(monitor, claims, *, expires=True):
    async with monitor.while_valid(claims, expires=expires):
        await asyncio.Event().wait()


async def begun(*bodies):
    tasks = [asyncio.ensure_future(body) for body in bodies]
    await asyncio.sleep(0)
    return tasks


async def test_hold_ends_with_what_the_judge_says_and_no_other_does(monitor, lookup):
    refused, again, good = await begun(
        held(monitor, token("a")), held(monitor, token("a")), held(monitor, token("b"))
    )
    lookup.refusals = {"a": TokenInvalidError}

    for task in (refused, again):
        with pytest.raises(TokenInvalidError):
            await task
    assert not good.done()
    assert set(lookup.asked[0]) == {"a", "b"}
    good.cancel()


async def test_hold_ends_at_once_when_it_is_ended_here(lookup):
    monitor = TokenMonitor(lookup, interval=timedelta(hours=1))
    (task,) = await begun(held(monitor, token()))

    monitor.end("t", TokenRevokedError)

    with pytest.raises(TokenRevokedError):
        await task
    await monitor.close()


async def test_hold_ends_with_the_tokens_time_only_if_it_shall(monitor):
    short, long = await begun(
        held(monitor, token(seconds=0.05)), held(monitor, token(seconds=0.05), expires=False)
    )

    with pytest.raises(TokenExpiredError):
        await short
    await asyncio.sleep(0.1)
    assert not long.done()
    long.cancel()


async def test_hold_goes_on_while_the_database_is_silent_and_ends_after_that(lookup):
    lookup.failure = DatabaseUnreachableError()
    patient = TokenMonitor(lookup, interval=SOON)
    (task,) = await begun(held(patient, token()))
    for _ in range(5):
        await lookup.looks.get()
    assert not task.done()
    task.cancel()
    await patient.close()

    impatient = TokenMonitor(lookup, interval=SOON, patience=timedelta(milliseconds=50))
    (task,) = await begun(held(impatient, token()))
    with pytest.raises(DatabaseUnreachableError):
        await task
    await impatient.close()


async def test_look_that_fails_is_made_again(lookup):
    monitor = TokenMonitor(lookup, interval=SOON)
    lookup.failure = RuntimeError("a fault of ours")
    (task,) = await begun(held(monitor, token()))
    await lookup.looks.get()
    lookup.failure, lookup.refusals = None, {"t": TokenInvalidError}

    with pytest.raises(TokenInvalidError):
        await task
    await monitor.close()


async def test_hold_lets_the_bodys_own_failures_through(monitor):
    with pytest.raises(TimeoutError):
        async with monitor.while_valid(token(), expires=True):
            raise TimeoutError
    (task,) = await begun(held(monitor, token()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_asked_when_nothing_is_held(monitor, lookup):
    async with monitor.while_valid(token(), expires=True):
        pass
    await asyncio.sleep(0.1)
    assert lookup.asked == []
