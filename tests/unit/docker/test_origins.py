"""Whether containers remove themselves and what their image was called, as far as the driver
knows.
"""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from http import HTTPStatus

import pytest

from proad.drivers.docker import origins as module
from proad.drivers.docker import summary_view
from proad.drivers.docker.api import Answer
from proad.drivers.docker.origins import Origins
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import Lifetime
from unit.docker.said import full, inspected, said

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
async def origins(engine, monkeypatch):
    for patience in ("_LOOK", "_LIST"):
        monkeypatch.setattr(module, patience, 20.0)
    origins = Origins(engine)
    yield origins
    await origins.close()


IMAGE_ID, NAME = "sha256:1", "debian:12"


def listed(id=ID, state="running", image=NAME):
    item = {"Id": id, "State": state, "Image": image, "ImageID": IMAGE_ID}
    return summary_view.summary(said(item), id)


def taken_for(origins, id):
    return origins.complete(listed(id)).lifetime


def image(origins, listed):
    return origins.complete(listed).container.image


@pytest.mark.parametrize("state", ["created", "running", "paused"])
async def test_one_that_may_go_is_asked_for_once(engine, origins, state):
    for _ in range(2):
        await origins.learn([listed(state=state)])
        assert taken_for(origins, ID) is Lifetime.TRANSIENT
    assert engine.calls == {ID: 1}


@pytest.mark.parametrize("state", ["exited", "dead", "restarting", "removing"])
async def test_one_that_has_ended_and_is_there_stays(engine, origins, state):
    await origins.learn([listed(state=state)])
    assert taken_for(origins, ID) is Lifetime.PERSISTENT
    assert not engine.calls


async def test_who_asks_meanwhile_waits_for_the_same_answer(engine, origins):
    """Also when the first one has gone."""
    engine.gate.clear()
    first, second = (asyncio.create_task(origins.learn([listed()])) for _ in range(2))
    await engine.asked.wait()
    first.cancel()
    await asyncio.wait({first})
    assert not second.done()
    engine.gate.set()
    await second
    await asyncio.gather(*origins._asking.values())
    assert taken_for(origins, ID) is Lifetime.TRANSIENT
    assert engine.calls == {ID: 1}


async def test_one_that_hangs_is_asked_for_again_with_the_next_list(engine, origins):
    """Not with each look at it."""
    engine.failures = [EngineTimedOutError("docker")]
    for _ in range(2):
        await origins.learn([listed()])
        assert taken_for(origins, ID) is Lifetime.PERSISTENT
    assert engine.calls == {ID: 1}
    await origins.learn([listed()], all_there_are=True)
    assert taken_for(origins, ID) is Lifetime.TRANSIENT
    await origins.learn([listed()], all_there_are=True)
    assert engine.calls == {ID: 2}


async def test_an_engine_that_was_away_is_asked_again(engine, origins):
    engine.failures = [EngineUnreachableError("docker", "away")]
    await origins.learn([listed()])
    assert taken_for(origins, ID) is Lifetime.PERSISTENT
    await origins.learn([listed()])
    assert taken_for(origins, ID) is Lifetime.TRANSIENT


async def test_nobody_waits_long_and_the_answer_is_told(engine, origins, monkeypatch):
    """Once to each who listens, and only where it is not what the container was taken for."""
    monkeypatch.setattr(module, "_LOOK", 0.01)
    told, answered = [], asyncio.Event()

    def tell(id):
        told.append(id)
        answered.set()

    origins.listeners.add(tell)
    engine.gate.clear()
    await origins.learn([listed()])
    monkeypatch.setattr(module, "_LOOK", 20.0)
    assert taken_for(origins, ID) is Lifetime.PERSISTENT
    engine.gate.set()
    await answered.wait()
    assert taken_for(origins, ID) is Lifetime.TRANSIENT
    await origins.learn([listed(OTHER)])
    assert taken_for(origins, OTHER) is Lifetime.TRANSIENT
    assert told == [ID]


async def test_what_an_inspect_told_besides_is_told(origins):
    told = []
    origins.listeners.add(told.append)
    stays = full(inspected())
    goes = replace(full(inspected(HostConfig={"AutoRemove": True})), id=OTHER)
    for resource in (stays, goes):
        origins.complete(replace(listed(), id=resource.id))
        for _ in range(2):
            origins.note(resource)
    assert told == [OTHER]


async def test_what_is_gone_is_forgotten(engine, origins):
    engine.status = HTTPStatus.NOT_FOUND
    await origins.learn([listed(OTHER)])
    origins.complete(listed(OTHER))
    engine.status = HTTPStatus.OK
    await origins.learn([listed()])
    origins.keep_only([ID])
    assert (origins._known.keys(), origins._guessed) == ({ID}, {})
    origins.keep_only([])
    assert not origins._known


async def test_a_few_at_a_time(engine, origins):
    engine.gate.clear()
    learning = asyncio.create_task(origins.learn([listed(f"{n:064x}") for n in range(20)]))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(engine.calls) == 4
    engine.gate.set()
    await learning
    await asyncio.gather(*origins._asking.values())
    assert len(engine.calls) == 20


async def test_questions_end_with_the_driver(engine, origins):
    engine.gate.clear()
    learning = asyncio.create_task(origins.learn([listed()]))
    await engine.asked.wait()
    await origins.close()
    await learning
    assert not origins._known
    assert not origins._asking


async def test_image_without_a_name_is_asked_for_once(engine, origins):
    """Also of one that has ended: its name means another image by now."""
    nameless = listed(state="exited", image=IMAGE_ID)
    for _ in range(2):
        await origins.learn([nameless])
        assert image(origins, nameless) == NAME
    assert engine.calls == {ID: 1}


async def test_image_that_was_named_before_is_not_asked_for(engine, origins):
    ended, later = listed(state="exited"), listed(state="exited", image=IMAGE_ID)
    await origins.learn([ended])
    assert image(origins, ended) == NAME
    await origins.learn([later])
    assert image(origins, later) == NAME
    assert not engine.calls
    origins.forget(ID)
    assert image(origins, later) == IMAGE_ID


async def test_image_whose_name_comes_late_is_told(engine, origins, monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 0.01)
    nameless, told = listed(state="exited", image=IMAGE_ID), asyncio.Queue()
    origins.listeners.add(told.put_nowait)
    engine.gate.clear()
    await origins.learn([nameless])
    assert image(origins, nameless) == IMAGE_ID
    engine.gate.set()
    assert await told.get() == ID
    assert image(origins, nameless) == NAME


async def test_image_is_called_what_an_inspect_says_whatever_a_list_does(origins):
    told = []
    origins.listeners.add(told.append)
    origins.complete(listed(image="debian"))
    for _ in range(2):
        origins.note(full(inspected()))
        assert image(origins, listed(image="debian")) == NAME
    assert told == [ID]
