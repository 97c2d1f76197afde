"""What ends when a token is no longer good, and what goes on when nobody can tell."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from proad.auth.holds import Holds
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


class Judge:
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
def judge():
    return Judge()


@pytest.fixture
async def holds(judge):
    made = Holds(judge, every=SOON, patience=timedelta(0))
    yield made
    await made.close()


async def held(holds, claims, *, expires=True):
    async with holds.hold(claims, expires=expires):
        await asyncio.Event().wait()


async def begun(*bodies):
    tasks = [asyncio.ensure_future(body) for body in bodies]
    await asyncio.sleep(0)
    return tasks


async def test_hold_ends_with_what_the_judge_says_and_no_other_does(holds, judge):
    refused, again, good = await begun(
        held(holds, token("a")), held(holds, token("a")), held(holds, token("b"))
    )
    judge.refusals = {"a": TokenInvalidError}

    for task in (refused, again):
        with pytest.raises(TokenInvalidError):
            await task
    assert not good.done()
    assert set(judge.asked[0]) == {"a", "b"}
    good.cancel()


async def test_hold_ends_at_once_when_it_is_ended_here(judge):
    holds = Holds(judge, every=timedelta(hours=1))
    (task,) = await begun(held(holds, token()))

    holds.end("t", TokenRevokedError)

    with pytest.raises(TokenRevokedError):
        await task
    await holds.close()


async def test_hold_ends_with_the_tokens_time_only_if_it_shall(holds):
    short, long = await begun(
        held(holds, token(seconds=0.05)), held(holds, token(seconds=0.05), expires=False)
    )

    with pytest.raises(TokenExpiredError):
        await short
    await asyncio.sleep(0.1)
    assert not long.done()
    long.cancel()


async def test_hold_goes_on_while_the_database_is_silent_and_ends_after_that(judge):
    judge.failure = DatabaseUnreachableError()
    patient = Holds(judge, every=SOON)
    (task,) = await begun(held(patient, token()))
    for _ in range(5):
        await judge.looks.get()
    assert not task.done()
    task.cancel()
    await patient.close()

    impatient = Holds(judge, every=SOON, patience=timedelta(milliseconds=50))
    (task,) = await begun(held(impatient, token()))
    with pytest.raises(DatabaseUnreachableError):
        await task
    await impatient.close()


async def test_look_that_fails_is_made_again(judge):
    holds = Holds(judge, every=SOON)
    judge.failure = RuntimeError("a fault of ours")
    (task,) = await begun(held(holds, token()))
    await judge.looks.get()
    judge.failure, judge.refusals = None, {"t": TokenInvalidError}

    with pytest.raises(TokenInvalidError):
        await task
    await holds.close()


async def test_hold_lets_the_bodys_own_failures_through(holds):
    with pytest.raises(TimeoutError):
        async with holds.hold(token(), expires=True):
            raise TimeoutError
    (task,) = await begun(held(holds, token()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_asked_when_nothing_is_held(holds, judge):
    async with holds.hold(token(), expires=True):
        pass
    await asyncio.sleep(0.1)
    assert judge.asked == []
