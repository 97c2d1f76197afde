"""Which containers remove themselves, as far as the driver knows."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from http import HTTPStatus

import pytest

from proad.drivers.docker import lifetimes as module
from proad.drivers.docker import summary_view
from proad.drivers.docker.api import Answer
from proad.drivers.docker.lifetimes import Lifetimes
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import Lifetime
from unit.docker.said import full, said
from unit.docker.test_view import inspected

ID, OTHER = "ab" * 32, "cd" * 32


class Asked:
    """An engine that is asked for containers, all of which remove themselves."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.status = HTTPStatus.OK

    async def read(self, path, convert, **options):
        assert options["timeout"].total_seconds() <= 1
        id = path.split("/")[2]
        self.calls[id] += 1
        self.asked.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        found = {**inspected(HostConfig={"AutoRemove": True}), "Id": id}
        return convert(Answer(self.status, json.dumps(found).encode()))


@pytest.fixture
async def engine() -> Asked:
    return Asked()


@pytest.fixture
async def lifetimes(engine, monkeypatch):
    for patience in ("_LOOK", "_LIST"):
        monkeypatch.setattr(module, patience, 20.0)
    lifetimes = Lifetimes(engine)
    yield lifetimes
    await lifetimes.close()


def listed(id=ID, state="running"):
    return summary_view.summary(said({"Id": id, "State": state}), id)


@pytest.mark.parametrize("state", ["created", "running", "paused"])
async def test_one_that_may_go_is_asked_for_once(engine, lifetimes, state):
    for _ in range(2):
        await lifetimes.learn([listed(state=state)])
        assert lifetimes.of(ID) is Lifetime.TRANSIENT
    assert engine.calls == {ID: 1}


@pytest.mark.parametrize("state", ["exited", "dead", "restarting", "removing"])
async def test_one_that_has_ended_and_is_there_stays(engine, lifetimes, state):
    await lifetimes.learn([listed(state=state)])
    assert lifetimes.of(ID) is Lifetime.PERSISTENT
    assert not engine.calls


async def test_who_asks_meanwhile_waits_for_the_same_answer(engine, lifetimes):
    """Also when the first one has gone."""
    engine.gate.clear()
    first, second = (asyncio.create_task(lifetimes.learn([listed()])) for _ in range(2))
    await engine.asked.wait()
    first.cancel()
    await asyncio.wait({first})
    assert not second.done()
    engine.gate.set()
    await second
    await asyncio.gather(*lifetimes._asking.values())
    assert lifetimes.of(ID) is Lifetime.TRANSIENT
    assert engine.calls == {ID: 1}


async def test_one_that_hangs_is_asked_for_again_with_the_next_list(engine, lifetimes):
    """Not with each look at it."""
    engine.failures = [EngineTimedOutError("docker")]
    for _ in range(2):
        await lifetimes.learn([listed()])
        assert lifetimes.of(ID) is Lifetime.PERSISTENT
    assert engine.calls == {ID: 1}
    await lifetimes.learn([listed()], all_there_are=True)
    assert lifetimes.of(ID) is Lifetime.TRANSIENT
    await lifetimes.learn([listed()], all_there_are=True)
    assert engine.calls == {ID: 2}


async def test_an_engine_that_was_away_is_asked_again(engine, lifetimes):
    engine.failures = [EngineUnreachableError("docker", "away")]
    await lifetimes.learn([listed()])
    assert lifetimes.of(ID) is Lifetime.PERSISTENT
    await lifetimes.learn([listed()])
    assert lifetimes.of(ID) is Lifetime.TRANSIENT


async def test_nobody_waits_long_and_the_answer_is_told(engine, lifetimes, monkeypatch):
    """Once to each who listens, and only where it is not what the container was taken for."""
    monkeypatch.setattr(module, "_LOOK", 0.01)
    told, answered = [], asyncio.Event()

    def tell(id):
        told.append(id)
        answered.set()

    lifetimes.listeners.add(tell)
    engine.gate.clear()
    await lifetimes.learn([listed()])
    monkeypatch.setattr(module, "_LOOK", 20.0)
    assert lifetimes.of(ID) is Lifetime.PERSISTENT
    engine.gate.set()
    await answered.wait()
    assert lifetimes.of(ID) is Lifetime.TRANSIENT
    await lifetimes.learn([listed(OTHER)])
    assert lifetimes.of(OTHER) is Lifetime.TRANSIENT
    assert told == [ID]


async def test_what_an_inspect_told_besides_is_told(lifetimes):
    told = []
    lifetimes.listeners.add(told.append)
    stays = full(inspected())
    goes = replace(full(inspected(HostConfig={"AutoRemove": True})), id=OTHER)
    for resource in (stays, goes):
        lifetimes.of(resource.id)
        for _ in range(2):
            lifetimes.note(resource)
    assert told == [OTHER]


async def test_what_is_gone_is_forgotten(engine, lifetimes):
    engine.status = HTTPStatus.NOT_FOUND
    await lifetimes.learn([listed(OTHER)])
    lifetimes.of(OTHER)
    engine.status = HTTPStatus.OK
    await lifetimes.learn([listed()])
    lifetimes.keep_only([ID])
    assert (lifetimes._known.keys(), lifetimes._guessed) == ({ID}, set())
    lifetimes.keep_only([])
    assert not lifetimes._known


async def test_a_few_at_a_time(engine, lifetimes):
    engine.gate.clear()
    learning = asyncio.create_task(lifetimes.learn([listed(f"{n:064x}") for n in range(20)]))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(engine.calls) == 4
    engine.gate.set()
    await learning
    await asyncio.gather(*lifetimes._asking.values())
    assert len(engine.calls) == 20


async def test_questions_end_with_the_driver(engine, lifetimes):
    engine.gate.clear()
    learning = asyncio.create_task(lifetimes.learn([listed()]))
    await engine.asked.wait()
    await lifetimes.close()
    await learning
    assert not lifetimes._known
    assert not lifetimes._asking
