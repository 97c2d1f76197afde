"""Turns and threads of calls whose callers are let go."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from proad.drivers.libvirt.lanes import Lane, Lanes

LONG = timedelta(minutes=5)


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = Lanes(size=2)
    lanes.start()
    yield lanes
    lanes.end()


async def test_urgent_calls_overtake_all_that_hangs(lanes: Lanes):
    gate = threading.Event()
    hung = [
        asyncio.create_task(lanes.run(gate.wait, lane=lane, id=str(number), timeout=LONG))
        for number in range(5)
        for lane in Lane
        if lane is not Lane.URGENT
    ]
    await asyncio.sleep(0)
    together = threading.Barrier(4)
    await asyncio.gather(
        *(lanes.run(together.wait, lane=Lane.URGENT, id="a", timeout=LONG) for _ in range(4))
    )
    assert not any(call.done() for call in hung)
    gate.set()
    await asyncio.gather(*hung)


async def test_a_loss_lets_all_go_but_keeps_the_turn_of_a_call_that_hangs(lanes: Lanes):
    begun, gate = threading.Event(), threading.Event()
    ran: list[str] = []

    def hang() -> None:
        begun.set()
        gate.wait()
        ran.append("hung")

    async def run(what: str) -> None:
        await lanes.run(lambda: ran.append(what), lane=Lane.WORK, id="a", timeout=LONG)

    hung = asyncio.create_task(lanes.run(hang, lane=Lane.WORK, id="a", timeout=LONG))
    assert await asyncio.to_thread(begun.wait, 30)
    waiting = asyncio.create_task(run("waited"))
    await asyncio.sleep(0)
    lanes.fail(lambda: KeyError("lost"))
    for call in (hung, waiting):
        with pytest.raises(KeyError, match="lost"):
            await call
    late = asyncio.create_task(run("late"))
    # Others go on, on the other thread.
    await lanes.run(lambda: ran.append("other"), lane=Lane.WORK, id="b", timeout=LONG)
    assert ran == ["other"]
    gate.set()
    await late
    assert ran == ["other", "hung", "late"]
