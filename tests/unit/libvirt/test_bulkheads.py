"""Limits and threads of calls whose callers are let go."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from proad.drivers.libvirt.connections.agent_threads import AgentThreads, Patience
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


async def test_questions_that_hang_hold_up_no_command(bulkheads: Bulkheads):
    gate = threading.Event()
    run = partial(bulkheads.run, timeout=LONG)
    hung = [
        asyncio.create_task(run(gate.wait, bulkhead=Bulkhead.ASIDE, id=str(number)))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    for number in range(20):
        assert await run(lambda: True, bulkhead=Bulkhead.AGENT, id=str(number))
    assert not any(call.done() for call in hung)
    gate.set()
    await asyncio.gather(*hung)


async def test_domains_whose_agents_are_slow_leave_threads_for_others():
    patience = Patience(free=timedelta(0), most=timedelta(milliseconds=40))
    gate, begun = threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        gate.wait()

    with AgentThreads(patience) as threads:

        async def run(id: str, call: Callable[[], object]) -> None:
            await threads.of(id).run(call, timeout=LONG, ended=lambda: None)

        ids = [str(number) for number in range(20)]
        await asyncio.gather(*(run(id, partial(time.sleep, 0.1)) for id in ids))
        hung = [asyncio.create_task(run(id, hang)) for id in ids]
        for _ in range(2):
            assert await asyncio.to_thread(begun.acquire, timeout=30)
        async with asyncio.timeout(30):
            await asyncio.gather(*(run(f"fast {number}", lambda: None) for number in range(20)))
        assert not begun.acquire(timeout=0.1)
        gate.set()
        await asyncio.gather(*hung)


async def test_domain_whose_agent_was_slow_is_a_usual_one_again_in_time():
    now = [0.0]
    with AgentThreads(clock=lambda: now[0]) as threads:

        def wait(seconds: float) -> str:
            now[0] += seconds
            return threading.current_thread().name

        async def run(seconds: float) -> str:
            call = partial(wait, seconds)
            return await threads.of("a").run(call, timeout=LONG, ended=lambda: None)

        assert "slow" not in await run(5)
        assert "slow" in await run(0)
        now[0] += 120
        assert "slow" not in await run(0)


async def test_domains_that_were_slow_once_are_forgotten_in_time():
    now = [0.0]
    with AgentThreads(clock=lambda: now[0]) as threads:

        def wait() -> None:
            now[0] += 5

        for number in range(20):
            await threads.of(f"{number}").run(wait, timeout=LONG, ended=lambda: None)
            now[0] += 600
        assert threads.counted == 1


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
