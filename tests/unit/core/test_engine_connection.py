"""Calls to an engine that may be lost, and the probes that find out."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core.engine_connection import EngineConnection, ProbeTiming
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineUnreachableError, ResourceNotFoundError
from proad.model import EngineHealth


class Moody(MemoryDriver):
    """Has probes that answer, fail or hang, as `mood` says."""

    mood: Exception | str | None = None

    async def probe(self):
        if isinstance(self.mood, Exception):
            raise self.mood
        if self.mood == "hung":
            await asyncio.Event().wait()
        return await super().probe()


@pytest.fixture
def driver():
    return Moody()


@pytest.fixture
def moody(driver):
    return EngineConnection("here", driver, ProbeTiming(probe_timeout=0.02))


async def test_connection_not_probed_yet_knows_nothing_and_reads(moody):
    assert (moody.health, moody.health_change_time, moody.info.version) == (None, None, "")
    assert await moody.read(moody.driver.list_resources) == []


async def test_probe_engine_answers_is_serving(moody):
    await moody.probe()

    assert moody.health is EngineHealth.SERVING
    assert moody.info.version == "1"
    assert moody.health_change_time is not None


@pytest.mark.parametrize(
    ("mood", "message"),
    [
        (EngineUnreachableError("memory", "refused"), "refused"),
        (ZeroDivisionError("secret"), "see the log"),
        ("hung", "does not answer"),
    ],
)
async def test_probe_fails_is_unreachable_and_keeps_the_info(moody, driver, mood, message):
    await moody.probe()
    driver.mood = mood

    await moody.probe()

    assert moody.health is EngineHealth.UNREACHABLE
    assert message in moody.health_message
    assert "secret" not in moody.health_message
    assert moody.info.version == "1"


async def test_health_watcher_is_called_for_changes_only(moody, driver):
    heard = []

    async def watcher():
        heard.append(moody.health)

    moody.on_health_change(watcher)
    for mood in (None, None, "hung", "hung", None):
        driver.mood = mood
        await moody.probe()

    assert heard == [EngineHealth.SERVING, EngineHealth.UNREACHABLE, EngineHealth.SERVING]


@pytest.mark.parametrize(
    ("mood", "cause"),
    [
        (EngineUnreachableError("memory", "no such socket"), "no such socket"),
        (ZeroDivisionError(), "the probe failed; see the log"),
        ("hung", "it does not answer"),
    ],
)
async def test_probe_goes_on_failing_logs_loss_and_return_once(moody, driver, mood, cause):
    with capture_logs() as logs:
        for now in (None, None, mood, mood, mood, None, None):
            driver.mood = now
            await moody.probe()

    told = [
        (log["log_level"], log["event"], log.get("cause")) for log in logs if "exc_info" not in log
    ]
    assert told == [
        ("info", "engine answers", None),
        ("warning", "engine lost", cause),
        ("info", "engine answers", None),
    ]
    assert len([log for log in logs if "exc_info" in log]) == isinstance(mood, ZeroDivisionError)


async def test_probe_fails_for_another_cause_logs_that_too(moody, driver):
    with capture_logs() as logs:
        for cause in ("refused", "refused", "too new", "too new", "refused"):
            driver.mood = EngineUnreachableError("memory", cause)
            await moody.probe()

    assert [log["cause"] for log in logs] == ["refused", "too new", "refused"]


async def test_read_engine_is_lost_meanwhile_is_cancelled(moody, driver):
    given_up = asyncio.Event()

    async def question():
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    read = asyncio.ensure_future(moody.read(question))
    await asyncio.sleep(0)
    driver.mood = "hung"
    await moody.probe()

    with pytest.raises(EngineUnreachableError) as caught:
        await read
    assert caught.value.metadata == {"engine": "memory", "host": "here"}
    assert given_up.is_set()


async def test_call_engine_lost_is_not_entered(moody, driver):
    driver.mood = "hung"
    await moody.probe()

    with pytest.raises(EngineUnreachableError), moody.call():
        raise AssertionError("the call was made")

    driver.mood = None
    await moody.probe()
    with moody.call():
        called = True
    assert called


async def test_read_caller_cancelled_cancels_the_call(moody):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def question():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    read = asyncio.ensure_future(moody.read(question))
    await begun.wait()
    read.cancel()

    with pytest.raises(asyncio.CancelledError):
        await read
    assert ended.is_set()


async def test_read_other_error_leaves_the_health(moody):
    await moody.probe()

    with pytest.raises(ResourceNotFoundError):
        await moody.read(lambda: moody.driver.get_resource("nope"))

    assert moody.health is EngineHealth.SERVING


async def test_supervise_watcher_fails_calls_the_others_and_goes_on(driver):
    timing = ProbeTiming(probe_interval=0.005, probe_timeout=30.0)
    moody = EngineConnection("here", driver, timing)
    heard: asyncio.Queue[EngineHealth | None] = asyncio.Queue()

    async def faulty():
        raise ZeroDivisionError

    async def watcher():
        heard.put_nowait(moody.health)

    moody.on_health_change(faulty)
    moody.on_health_change(watcher)
    task = asyncio.ensure_future(moody.supervise())
    with capture_logs() as logs:
        async with asyncio.timeout(30):
            assert await heard.get() is EngineHealth.SERVING
            driver.mood = EngineUnreachableError("memory", "refused")
            assert await heard.get() is EngineHealth.UNREACHABLE
    assert not task.done()
    task.cancel()

    failures = [line for line in logs if line["event"] == "health watcher failed"]
    assert [line["log_level"] for line in failures] == ["error", "error"]


async def test_supervise_engine_lost_and_back_reports_both(driver):
    timing = ProbeTiming(probe_interval=0.01, first_lost_interval=0.01, probe_timeout=0.02)
    moody = EngineConnection("here", driver, timing)
    changes: asyncio.Queue[EngineHealth | None] = asyncio.Queue()

    async def watcher():
        changes.put_nowait(moody.health)

    moody.on_health_change(watcher)
    task = asyncio.ensure_future(moody.supervise())
    async with asyncio.timeout(30):
        for health, next_mood in (
            (EngineHealth.SERVING, "hung"),
            (EngineHealth.UNREACHABLE, None),
            (EngineHealth.SERVING, ZeroDivisionError()),
            (EngineHealth.UNREACHABLE, None),
            (EngineHealth.SERVING, None),
        ):
            assert await changes.get() is health
            driver.mood = next_mood
    task.cancel()


async def test_probe_interval_while_lost_doubles_up_to_a_limit_and_starts_anew(moody, driver):
    timing = ProbeTiming()
    await moody.probe()
    assert moody.probe_interval == timing.probe_interval
    for _ in range(2):
        driver.mood = EngineUnreachableError("memory", "refused")
        intervals = []
        for _ in range(100):
            await moody.probe()
            intervals.append(moody.probe_interval)
        assert intervals[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
        assert set(intervals[5:]) == {timing.longest_lost_interval}
        driver.mood = None
        await moody.probe()
        assert moody.probe_interval == timing.probe_interval
