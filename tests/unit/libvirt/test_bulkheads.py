"""Limits and threads of calls whose callers are let go."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from proad.drivers.libvirt.connections.bulkheads import Bulkhead, Bulkheads

LONG = timedelta(minutes=5)


@pytest.fixture
def bulkheads() -> Iterator[Bulkheads]:
    bulkheads = Bulkheads(size=2)
    bulkheads.start()
    yield bulkheads
    bulkheads.end()


async def test_run_urgent_while_others_hang_returns(bulkheads: Bulkheads):
    gate = threading.Event()
    hung = [
        asyncio.create_task(
            bulkheads.run(gate.wait, bulkhead=bulkhead, id=str(number), timeout=LONG)
        )
        for number in range(5)
        for bulkhead in Bulkhead
        if bulkhead is not Bulkhead.URGENT
    ]
    await asyncio.sleep(0)
    together = threading.Barrier(4)
    await asyncio.gather(
        *(
            bulkheads.run(together.wait, bulkhead=Bulkhead.URGENT, id="a", timeout=LONG)
            for _ in range(4)
        )
    )
    assert not any(call.done() for call in hung)
    gate.set()
    await asyncio.gather(*hung)


async def test_fail_with_a_hung_call_ends_callers_and_keeps_the_slot(bulkheads: Bulkheads):
    begun, gate = threading.Event(), threading.Event()
    ran: list[str] = []

    def hang() -> None:
        begun.set()
        gate.wait()
        ran.append("hung")

    async def run(what: str) -> None:
        await bulkheads.run(lambda: ran.append(what), bulkhead=Bulkhead.WORK, id="a", timeout=LONG)

    hung = asyncio.create_task(bulkheads.run(hang, bulkhead=Bulkhead.WORK, id="a", timeout=LONG))
    assert await asyncio.to_thread(begun.wait, 30)
    waiting = asyncio.create_task(run("waited"))
    await asyncio.sleep(0)
    bulkheads.fail(lambda: KeyError("lost"))
    for call in (hung, waiting):
        with pytest.raises(KeyError, match="lost"):
            await call
    late = asyncio.create_task(run("late"))
    # Others go on, on the other thread.
    await bulkheads.run(lambda: ran.append("other"), bulkhead=Bulkhead.WORK, id="b", timeout=LONG)
    assert ran == ["other"]
    gate.set()
    await late
    assert ran == ["other", "hung", "late"]
