"""CancelRequest: what can be ended, and what cannot."""

import asyncio

import pytest

from proad.core.requests import RepeatedFailure, RequestAnswer, announce
from proad.errors import RequestCancelledError, RequestNotCancellableError, RequestNotFoundError
from proad.model import RequestState
from unit.core.requests.effects import INTENT, KEY, Effect, request


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
