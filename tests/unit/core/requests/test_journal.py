"""Requests with an id: one effect, and one answer for each repetition."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eventually import eventually
from proad.core.requests import (
    JournalTiming,
    Judgement,
    NewRequest,
    RepeatedFailure,
    RequestAnswer,
    RequestJournal,
    announce,
    cancellable,
)
from proad.core.shielded_tasks import ShieldedTasks
from proad.errors import (
    DatabaseUnreachableError,
    EngineTimedOutError,
    InvalidArgumentError,
    RequestCancelledError,
    RequestInterruptedError,
    RequestNotCancellableError,
    RequestNotFoundError,
    ResourceNotRunningError,
    ShuttingDownError,
    StopTimedOutError,
    TooManyRequestsError,
)
from proad.model import Action, Intent, RequestState
from proad.ports.requests import RequestKey
from unit.core.requests.memory_records import MemoryRecords, Verdicts

KEY = RequestKey("user", "11111111-1111-4111-8111-111111111111")
STOP = "/proa.v1.ResourceService/StopResource"
INTENT = Intent(action=Action.STOP, host="local", driver="x", id="1", path="local/container/1")
NOT_RUNNING = ResourceNotRunningError(
    id="1", name="web", state="STOPPED", verb="STOP", allowed_verbs=(), hint="start it"
)
TIMED_OUT = StopTimedOutError("web", timedelta(seconds=1))


class Codec:
    def failure(self, error):
        return f"failed: {error.reason}".encode()

    def response(self, method, about):
        return RequestAnswer(reply=b"judged", stored=b"judged", path="local/container/1")


class Effect:
    """What a request does: announces it, waits, has its effect, and ends as a test says."""

    def __init__(self, *, ends=b"done", announces=True, waits=False):
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.effects = self.calls = 0
        self.ends, self.announces, self.waits = ends, announces, waits
        if not waits:
            self.go_on.set()

    async def __call__(self, publish):
        self.calls += 1
        if self.announces:
            await announce(INTENT)
        self.begun.set()
        with cancellable():
            await self.go_on.wait()
        if isinstance(self.ends, Exception):
            raise self.ends
        self.effects += 1
        return RequestAnswer(reply=self.ends, stored=b"stored " + self.ends)


def request(key=KEY, *, digest=b"digest", method=STOP):
    return NewRequest(key=key, method=method, digests=[digest])


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def tasks():
    return ShieldedTasks()


@pytest.fixture
def verdicts():
    return Verdicts()


@pytest.fixture
def make(records, tasks, verdicts):
    """Makes the journal of a daemon; another one is that after a restart."""

    def make(**others):
        timing = JournalTiming(first_retry=0.001, longest_retry=0.01, expiry_interval=0.001)
        return RequestJournal(records, tasks, Codec(), verdicts, timing=timing, **others)

    return make


@pytest.fixture
async def journal(make):
    journal = make()
    async with journal.opened():
        yield journal


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


async def test_run_records_lost_at_the_end_stores_the_answer_later(journal, records):
    effect = Effect(waits=True)
    call = asyncio.create_task(journal.run(request(), effect))
    await effect.begun.wait()
    records.lost = True
    effect.go_on.set()

    assert await call == b"done"
    assert await journal.run(request(), effect) == b"done"
    assert (await journal.get(KEY)).state is RequestState.SUCCEEDED
    records.lost = False
    await eventually(lambda: records.kept[KEY].state is RequestState.SUCCEEDED)
    assert await journal.run(request(), effect) == b"stored done"
    assert effect.effects == 1


@pytest.mark.parametrize("error", [EngineTimedOutError("x"), RuntimeError("a fault")])
async def test_run_effect_unknown_repetition_waits_for_the_verdict(journal, verdicts, error):
    effect = Effect(ends=error)
    with pytest.raises(type(error)):
        await journal.run(request(), effect)

    again = asyncio.create_task(journal.run(request(), effect))
    await eventually(lambda: verdicts.asked > 2)
    assert not again.done()
    assert (await journal.get(KEY)).state is RequestState.RUNNING
    verdicts.verdict = Judgement()

    assert await again == b"judged"
    assert await journal.run(request(), effect) == b"judged"
    assert effect.calls == 1


async def test_opened_after_a_death_judges_what_ran(make, records, verdicts, tasks):
    effect = Effect(waits=True)
    async with (journal := make()).opened():
        call = asyncio.create_task(journal.run(request(), effect))
        await effect.begun.wait()
    await tasks.close(0)
    with pytest.raises(asyncio.CancelledError):
        await call
    verdicts.verdict = Judgement(error=RequestInterruptedError("unknown"))

    async with (journal := make()).opened():
        with pytest.raises(RepeatedFailure) as caught:
            await journal.run(request(), effect)
        assert caught.value.failure == b"failed: INTERRUPTED"
    assert records.kept[KEY].state is RequestState.FAILED
    assert (effect.calls, effect.effects) == (1, 0)


async def test_opened_again_returns_the_stored_answer(make):
    effect = Effect()
    async with (first := make()).opened():
        await first.run(request(), effect)
    async with (second := make()).opened():
        assert await second.run(request(), effect) == b"stored done"
    assert effect.effects == 1


async def test_run_expired_record_is_a_new_request(make, records):
    effect = Effect()
    async with (first := make()).opened():
        await first.run(request(), effect)
    record = records.kept[KEY]
    records.kept[KEY] = replace(record, end_time=datetime.now(UTC) - timedelta(days=2))
    async with (second := make()).opened():
        assert await second.run(request(digest=b"other"), effect) == b"done"
        assert records.kept[KEY].digest == b"other"
    assert effect.effects == 2


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


async def test_cancel_waiting_request_ends_it_for_good(journal):
    effect = Effect(waits=True)
    call = asyncio.create_task(journal.run(request(), effect))
    await effect.begun.wait()

    assert (await journal.cancel(KEY)).state is RequestState.FAILED
    with pytest.raises(RequestCancelledError):
        await call
    with pytest.raises(RepeatedFailure) as caught:
        await journal.run(request(), effect)
    assert caught.value.failure == b"failed: REQUEST_CANCELLED"
    assert (await journal.cancel(KEY)).state is RequestState.FAILED


async def test_cancel_request_at_work_is_refused(journal):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(publish):
        await announce(INTENT)
        begun.set()
        await go_on.wait()
        return RequestAnswer(reply=b"done", stored=b"done")

    call = asyncio.create_task(journal.run(request(), work))
    await begun.wait()
    with pytest.raises(RequestNotCancellableError):
        await journal.cancel(KEY)
    go_on.set()
    assert await call == b"done"


async def test_cancel_queued_request_has_no_effect(journal):
    queued, effect = asyncio.Event(), Effect()

    async def queue(publish):
        queued.set()
        await asyncio.Event().wait()
        return await effect(publish)

    call = asyncio.create_task(journal.run(request(), queue))
    await queued.wait()
    await journal.cancel(KEY)
    with pytest.raises(RequestCancelledError):
        await call
    assert effect.calls == 0
    assert (await journal.get(KEY)).state is RequestState.FAILED


async def test_cancel_unknown_request_is_not_found(journal):
    with pytest.raises(RequestNotFoundError):
        await journal.cancel(KEY)


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
