"""Asking an engine that may go away."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core import engine_connection
from proad.core.engine_connection import EngineConnection
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineUnreachableError, ResourceNotFoundError
from proad.model import EngineHealth


class Moody(MemoryDriver):
    """Its probe does what it is told."""

    mood = None

    async def probe(self):
        if isinstance(self.mood, Exception):
            raise self.mood
        if self.mood == "hung":
            await asyncio.Event().wait()
        return await super().probe()


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setattr(engine_connection, "PROBE_TIMEOUT", 0.02)
    return Moody()


@pytest.fixture
def moody(driver):
    return EngineConnection("here", driver)


async def test_nothing_is_known_before_the_first_probe(moody):
    assert (moody.health, moody.health_change_time, moody.info.version) == (None, None, "")
    assert await moody.read(moody.driver.list_resources) == []


async def test_a_probe_tells_what_the_engine_is(moody):
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
async def test_a_failed_probe_keeps_what_was_known(moody, driver, mood, message):
    await moody.probe()
    driver.mood = mood

    await moody.probe()

    assert moody.health is EngineHealth.UNREACHABLE
    assert message in moody.health_message
    assert "secret" not in moody.health_message
    assert moody.info.version == "1"


async def test_watchers_hear_of_changes_only(moody, driver):
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
async def test_probe_that_goes_on_failing_warns_once_and_tells_the_return_once(
    moody, driver, mood, cause
):
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


async def test_a_read_is_given_up_when_the_engine_is_lost(moody, driver):
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


async def test_a_callers_end_is_the_questions_end(moody):
    ended = asyncio.Event()

    async def question():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    read = asyncio.ensure_future(moody.read(question))
    await asyncio.sleep(0.01)
    read.cancel()

    with pytest.raises(asyncio.CancelledError):
        await read
    assert ended.is_set()


async def test_other_errors_pass_and_cost_no_health(moody):
    await moody.probe()

    with pytest.raises(ResourceNotFoundError):
        await moody.read(lambda: moody.driver.get_resource("nope"))

    assert moody.health is EngineHealth.SERVING


async def test_a_watcher_that_fails_ends_nothing(moody, driver, monkeypatch):
    monkeypatch.setattr(engine_connection, "PROBE_EVERY", 0.005)
    monkeypatch.setattr(engine_connection, "PROBE_TIMEOUT", 30.0)
    heard = asyncio.Queue()

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


async def test_supervision_notices_both_ways(moody, driver, monkeypatch):
    monkeypatch.setattr(engine_connection, "PROBE_EVERY", 0.01)
    monkeypatch.setattr(engine_connection, "PROBE_EVERY_WHILE_LOST", 0.01)
    changes = asyncio.Queue()

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


async def test_pause_while_lost_grows_to_limit_and_begins_anew(moody, driver):
    await moody.probe()
    assert moody.pause == engine_connection.PROBE_EVERY
    for _ in range(2):
        driver.mood = EngineUnreachableError("memory", "refused")
        pauses = []
        for _ in range(100):
            await moody.probe()
            pauses.append(moody.pause)
        assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
        assert set(pauses[5:]) == {engine_connection.PROBE_PAUSE_LIMIT}
        driver.mood = None
        await moody.probe()
        assert moody.pause == engine_connection.PROBE_EVERY
