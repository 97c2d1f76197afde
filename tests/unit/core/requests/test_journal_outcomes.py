"""Outcomes that are known or stored late, also after a restart, and their end."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eventually import eventually
from proad.core.requests import Judgement, RepeatedFailure, witness_by
from proad.errors import (
    AuditUnavailableError,
    DatabaseUnreachableError,
    EngineTimedOutError,
    RequestInterruptedError,
)
from proad.model import RequestState
from unit.core.requests.effects import INTENT, KEY, Effect, request


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
async def test_run_effect_unknown_repetition_waits_for_the_judgement(journal, judge, error):
    effect = Effect(ends=error)
    with pytest.raises(type(error)):
        await journal.run(request(), effect)

    again = asyncio.create_task(journal.run(request(), effect))
    await eventually(lambda: judge.asked > 2)
    assert not again.done()
    assert (await journal.get(KEY)).state is RequestState.RUNNING
    judge.judgement = Judgement()

    assert await again == b"judged"
    assert await journal.run(request(), effect) == b"judged"
    assert effect.calls == 1


async def test_opened_after_a_death_judges_what_ran(make, records, judge, tasks):
    effect = Effect(waits=True)
    async with (journal := make()).opened():
        call = asyncio.create_task(journal.run(request(), effect))
        await effect.begun.wait()
    await tasks.close(0)
    with pytest.raises(asyncio.CancelledError):
        await call
    judge.judgement = Judgement(error=RequestInterruptedError("unknown"))

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


class Line:
    """The witness of a request, whose line comes to disk, or does not, when a test says so."""

    def __init__(self):
        self.on_disk = asyncio.get_running_loop().create_future()

    async def written(self):
        await self.on_disk

    def hear(self, intent):
        self.heard = intent

    def part(self, intent):
        raise AssertionError(intent)


@pytest.fixture
async def witnessed():
    """An effect whose request has a line in the audit log; the line."""
    line, effect = Line(), Effect()

    async def serve(publish):
        witness_by(line)
        return await effect(publish)

    return serve, effect, line


async def test_announce_stores_the_record_while_the_line_goes_to_disk(journal, records, witnessed):
    serve, effect, line = witnessed
    call = asyncio.create_task(journal.run(request(), serve))

    await eventually(lambda: records.writes == 1)
    assert not effect.begun.is_set()
    line.on_disk.set_result(None)

    assert await call == b"done"
    assert (effect.effects, line.heard) == (1, INTENT)


async def test_announce_line_not_on_disk_changes_nothing_and_frees_the_id(
    journal, records, witnessed
):
    serve, effect, line = witnessed
    line.on_disk.set_exception(AuditUnavailableError())

    with pytest.raises(AuditUnavailableError):
        await journal.run(request(), serve)

    assert (effect.effects, records.kept) == (0, {})
    assert await journal.run(request(), Effect()) == b"done"


async def test_announce_neither_line_nor_record_changes_nothing(journal, records, witnessed):
    serve, effect, line = witnessed
    line.on_disk.set_exception(AuditUnavailableError())
    records.lost = True

    with pytest.raises(DatabaseUnreachableError):
        await journal.run(request(), serve)

    records.lost = False
    assert effect.effects == 0
    assert await journal.run(request(), Effect()) == b"done"
