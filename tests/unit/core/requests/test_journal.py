"""Requests with an id: one effect, and one answer for each repetition."""

import asyncio
from datetime import timedelta

import pytest

from proad.core.requests import NewRequest, RepeatedFailure, RequestAnswer, announce
from proad.errors import (
    DatabaseUnreachableError,
    InvalidArgumentError,
    RequestNotFoundError,
    ResourceNotRunningError,
    ShuttingDownError,
    StopTimedOutError,
    TooManyRequestsError,
)
from proad.model import RequestState
from proad.ports.requests import RequestKey
from unit.core.requests.effects import INTENT, KEY, NOT_RUNNING, STOP, TIMED_OUT, Effect, request


async def test_run_again_returns_the_stored_answer_without_an_effect(journal):
    effect = Effect()

    assert await journal.run(request(), effect) == b"done"
    assert await journal.run(request(), effect) == b"stored done"
    assert (effect.calls, effect.effects) == (1, 1)


async def test_run_writes_twice(journal, records):
    await journal.run(request(), Effect())

    assert records.writes == 2


async def test_run_again_while_it_runs_joins_it(journal):
    effect = Effect(waits=True)
    calls = [asyncio.create_task(journal.run(request(), effect)) for _ in range(50)]
    await effect.begun.wait()
    effect.go_on.set()

    assert await asyncio.gather(*calls) == [b"done"] * 50
    assert effect.calls == 1


async def test_run_callers_gone_goes_to_its_end(journal):
    effect = Effect(waits=True)
    caller = asyncio.create_task(journal.run(request(), effect))
    await effect.begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    effect.go_on.set()

    assert await journal.run(request(), effect) in {b"done", b"stored done"}
    assert effect.effects == 1


@pytest.mark.parametrize(
    "other", [{"digest": b"other"}, {"method": "/proa.v1.ResourceService/PauseResource"}]
)
@pytest.mark.parametrize("waits", [False, True])
async def test_run_id_of_another_request_is_refused(journal, other, waits):
    effect = Effect(waits=waits)
    first = asyncio.create_task(journal.run(request(), effect))
    await effect.begun.wait()
    if not waits:
        await first

    with pytest.raises(InvalidArgumentError) as caught:
        await journal.run(request(**other), effect)
    assert [each.field for each in caught.value.violations] == ["request_id"]
    effect.go_on.set()
    await first
    assert effect.calls == 1


async def test_run_digest_under_the_key_before_is_a_repetition(journal):
    await journal.run(request(digest=b"old"), Effect())
    rotated = NewRequest(key=KEY, method=STOP, digests=[b"new", b"old"])

    assert await journal.run(rotated, Effect()) == b"stored done"


async def test_run_same_id_of_another_user_is_another_request(journal):
    effect = Effect()
    await journal.run(request(), effect)
    await journal.run(request(RequestKey("other", KEY.id)), effect)

    assert effect.effects == 2


async def test_run_refused_before_any_effect_frees_the_id(journal, records):
    with pytest.raises(ResourceNotRunningError):
        await journal.run(request(), Effect(ends=NOT_RUNNING, announces=False))

    assert records.writes == 0
    assert await journal.run(request(digest=b"other"), Effect()) == b"done"


async def test_run_failed_after_the_announcement_fails_again(journal):
    effect = Effect(ends=TIMED_OUT)
    with pytest.raises(StopTimedOutError):
        await journal.run(request(), effect)

    for _ in range(2):
        with pytest.raises(RepeatedFailure) as caught:
            await journal.run(request(), effect)
        assert caught.value.failure == b"failed: STOP_TIMED_OUT"
    assert effect.calls == 1


async def test_run_success_without_an_effect_is_kept(journal, records):
    """A delete of what was missing must not delete on its repetition what came meanwhile."""
    effect = Effect(announces=False)
    await journal.run(request(), effect)

    assert await journal.run(request(), effect) == b"stored done"
    assert records.writes == effect.calls == 1


async def test_run_records_lost_changes_nothing(journal, records):
    records.lost = True
    effect = Effect()
    with pytest.raises(DatabaseUnreachableError):
        await journal.run(request(), effect)
    assert effect.effects == 0

    records.lost = False
    assert await journal.run(request(), effect) == b"done"


async def test_run_cancelled_while_the_record_is_stored_keeps_the_record(journal, records):
    """As a verb by force cancels a graceful one."""
    storing, stored = asyncio.Event(), asyncio.Event()
    add = records.add

    async def slow(record):
        storing.set()
        await stored.wait()
        await add(record)

    records.add = slow

    async def preempted(publish):
        verb = asyncio.create_task(announce(INTENT))
        await storing.wait()
        verb.cancel()
        stored.set()
        with pytest.raises(asyncio.CancelledError):
            await verb
        raise TIMED_OUT

    with pytest.raises(StopTimedOutError):
        await journal.run(request(), preempted)
    assert (await journal.get(KEY)).state is RequestState.FAILED


async def test_run_too_many_requests_of_a_user_are_refused(make):
    effect = Effect()
    async with (journal := make(most=2)).opened():
        for number in (1, 2):
            await journal.run(request(RequestKey("user", str(number))), effect)

        with pytest.raises(TooManyRequestsError) as caught:
            await journal.run(request(RequestKey("user", "3")), effect)
        assert caught.value.retry_after is not None
        assert timedelta(hours=23) < caught.value.retry_after <= timedelta(hours=24)
        assert await journal.run(request(RequestKey("user", "1")), effect) == b"stored done"
        assert await journal.run(request(RequestKey("other", "3")), effect) == b"done"


async def test_run_tasks_closed_frees_the_id(journal, tasks):
    await tasks.close(0)

    with pytest.raises(ShuttingDownError):
        await journal.run(request(), Effect())
    with pytest.raises(RequestNotFoundError):
        await journal.get(KEY)


async def test_follow_again_joins_the_progress(journal):
    go_on = asyncio.Event()

    async def pull(publish):
        await announce(INTENT)
        publish(b"1")
        await go_on.wait()
        publish(b"image")
        return RequestAnswer(reply=b"image", stored=b"image")

    first = journal.follow(request(), pull)
    assert await anext(first) == b"1"
    await first.aclose()
    again = journal.follow(request(), pull)
    assert await anext(again) == b"1"
    go_on.set()

    assert [item async for item in again] == [b"image"]
    assert [item async for item in journal.follow(request(), pull)] == [b"image"]


async def test_page_shows_running_and_ended_requests_newest_first(journal):
    waits = Effect(waits=True)
    await journal.run(request(RequestKey("user", "1")), Effect())
    call = asyncio.create_task(journal.run(request(RequestKey("user", "2")), waits))
    await waits.begun.wait()
    await journal.run(request(RequestKey("other", "3")), Effect())

    page = await journal.page("user", most=10)
    assert [(each.key.id, each.state) for each in page] == [
        ("2", RequestState.RUNNING),
        ("1", RequestState.SUCCEEDED),
    ]
    (last,) = await journal.page("user", before=(page[0].start_time, "2"), most=10)
    assert last == page[1]
    assert await journal.page("user", states=[RequestState.RUNNING], most=10) == page[:1]
    waits.go_on.set()
    await call
