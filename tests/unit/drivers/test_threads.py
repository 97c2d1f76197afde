import asyncio
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest

from eventually import eventually
from proad.drivers.threads import EngineThreads, call_soon_threadsafe
from proad.errors import EngineTimedOutError

SHORT = timedelta(seconds=0.1)


@pytest.fixture
def gate():
    """The event that hung calls wait for; set at the end so that their threads end."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_run_uses_a_daemon_thread_of_its_engine():
    with EngineThreads("engine", size=1) as threads:
        thread = await threads.run(threading.current_thread)
    assert thread.name == "engine-calls-0"
    assert thread.daemon


async def test_run_of_a_failing_call_raises_its_error():
    def fail() -> None:
        raise KeyError("own")

    with EngineThreads("engine", size=1) as threads:
        with pytest.raises(KeyError, match="own"):
            await threads.run(fail)
        assert await threads.run(lambda: "the thread lives") == "the thread lives"


async def test_run_of_a_call_with_a_timeout_error_raises_that():
    def fail() -> None:
        raise TimeoutError("own")

    with EngineThreads("engine", size=1) as threads, pytest.raises(TimeoutError, match="own"):
        await threads.run(fail)


async def test_run_of_many_calls_uses_all_threads_and_no_more():
    running, most = 0, 0
    lock = threading.Lock()
    together = threading.Barrier(3)

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(30)  # as many as there are threads
        with lock:
            running -= 1

    with EngineThreads("engine", size=3) as threads:
        await asyncio.gather(*(threads.run(call) for _ in range(12)))
    assert most == 3


async def test_run_of_a_hung_call_times_out(gate: threading.Event):
    with EngineThreads("engine", size=2) as threads:
        before = time.monotonic()
        with pytest.raises(EngineTimedOutError) as caught:
            await threads.run(gate.wait, timeout=SHORT)
        assert 0.1 <= time.monotonic() - before < 10
        assert caught.value.metadata == {"engine": "engine"}
        assert "may still take effect" in caught.value.message
        assert await threads.run(lambda: 1) == 1  # on the other thread


async def test_run_without_a_free_thread_in_time_never_begins(gate: threading.Event):
    ran = threading.Event()
    with EngineThreads("engine", "work", size=1) as threads:
        hung = asyncio.create_task(threads.run(gate.wait))
        await asyncio.sleep(0)  # the call is first in the queue
        with pytest.raises(EngineTimedOutError, match="engine was too busy to begin") as caught:
            await threads.run(ran.set, timeout=SHORT)
        assert caught.value.metadata == {"engine": "engine"}
        gate.set()
        await hung
        await threads.run(lambda: None)  # the queue is empty
    assert not ran.is_set()  # its caller had timed out


async def test_run_cancelled_drops_the_result(gate: threading.Event):
    begun, done = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        gate.wait()
        done.set()

    with EngineThreads("engine", size=1) as threads:
        task = asyncio.create_task(threads.run(call))
        assert await asyncio.to_thread(begun.wait, 30)  # a call that has not begun is dropped
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        assert await threads.run(lambda: "next") == "next"
    assert done.is_set()  # the call itself has continued


async def test_run_with_a_late_error_after_its_timeout_logs_nothing(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        gate.wait()
        raise KeyError

    with EngineThreads("engine", size=1) as threads:
        with pytest.raises(EngineTimedOutError):
            await threads.run(fail, timeout=SHORT)
        gate.set()
        await threads.run(lambda: None)
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_run_of_a_hung_call_does_not_block_the_loop(gate: threading.Event):
    with EngineThreads("engine", size=1) as threads:
        hung = asyncio.create_task(threads.run(gate.wait))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not hung.done()
        gate.set()
        await hung


async def test_exit_ends_the_threads():
    with EngineThreads("ending", size=3) as threads:
        await threads.run(lambda: None)
        names = [thread.name for thread in threading.enumerate()]
        assert sum(name.startswith("ending-") for name in names) == 3
    await eventually(
        lambda: not any(thread.name.startswith("ending-") for thread in threading.enumerate())
    )


def test_run_with_a_result_after_the_loop_has_closed_drops_the_result(gate: threading.Event):
    done = threading.Event()
    with EngineThreads("engine", size=1) as threads:

        def call() -> None:
            gate.wait()

        async def give_up() -> None:
            with pytest.raises(EngineTimedOutError):
                await threads.run(call, timeout=SHORT)

        asyncio.run(give_up())
        gate.set()

        async def next_one() -> None:
            await threads.run(done.set)

        asyncio.run(next_one())  # the thread has survived
    assert done.is_set()


def test_call_soon_threadsafe_on_a_closed_loop_does_nothing():
    told: list[str] = []

    async def tell() -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(call_soon_threadsafe, loop, told.append, "open")
        return loop

    call_soon_threadsafe(asyncio.run(tell()), told.append, "closed")
    assert told == ["open"]


def test_exit_of_the_process_with_a_hung_call_is_not_delayed():
    program = """
import asyncio, threading, time
from datetime import timedelta
from proad.drivers.threads import EngineThreads
from proad.errors import EngineTimedOutError

async def main():
    with EngineThreads("engine", size=2) as threads:
        try:
            await threads.run(lambda: time.sleep(600), timeout=timedelta(seconds=0.05))
        except EngineTimedOutError:
            print("timed out", flush=True)

asyncio.run(main())
"""
    before = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split("\n") == ["timed out", ""]
    assert time.monotonic() - before < 20


async def test_run_calls_ended_once(gate: threading.Event):
    begun = threading.Event()
    ended: list[str] = []

    def hang() -> None:
        begun.set()
        gate.wait()

    with EngineThreads("engine", size=1) as threads:
        hung = asyncio.create_task(threads.run(hang, ended=lambda: ended.append("hung")))
        assert await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(EngineTimedOutError):
            await threads.run(hang, timeout=SHORT, ended=lambda: ended.append("never began"))
        hung.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hung
        assert ended == ["never began"]  # the other call keeps its thread
        gate.set()
        assert await threads.run(lambda: list(ended), ended=lambda: ended.append("next"))
        assert ended == ["never began", "hung", "next"]


async def test_fail_ends_all_callers_with_an_error(gate: threading.Event):
    with EngineThreads("engine", size=1) as threads:
        calls = [asyncio.create_task(threads.run(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        threads.fail(lambda: KeyError("lost"))
        for call in calls:
            with pytest.raises(KeyError, match="lost"):
                await call
        gate.set()
        assert await threads.run(lambda: "next") == "next"
