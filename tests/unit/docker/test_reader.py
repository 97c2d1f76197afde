"""Reads of containers that the engine is in the middle of removing."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest

from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.reader import ContainerReader
from proad.errors import EngineTimedOutError
from proad.model import ResourceState, StateReason
from unit.docker.engine_answers import ID, inspected, listed

DEAD = {**listed(), "State": "dead", "Status": "Dead"}
REMOVING = {**listed(), "State": "removing", "Status": "Removal In Progress"}
OTHER_ID = "b" * 64


class ScriptedAnswers:
    """An engine with scripted answers to lists and inspects; the last one is repeated."""

    def __init__(self, lists: list[Any], inspects: list[Any]) -> None:
        self._answers = {"/containers/json": lists, f"/containers/{ID}/json": inspects}
        self.asked: list[str] = []

    async def read(self, path, convert, **_options):
        if path.startswith("/images/"):  # the image of a container may be gone
            return convert(Answer(HTTPStatus.NOT_FOUND, b"{}"))
        self.asked.append(path)
        answers = self._answers[path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            return convert(Answer(HTTPStatus.NOT_FOUND, b"{}"))
        if isinstance(answer, Exception):
            raise answer
        return convert(Answer(HTTPStatus.OK, json.dumps(answer).encode()))


def lookup_on(engine: Any) -> ContainerReader:
    return ContainerReader(engine)


def status(word):
    return inspected(State={"Status": word, "Running": False})


FATES = pytest.mark.parametrize(
    ("lists", "inspects", "state"),
    [
        ([[DEAD]], [status("removing")], ResourceState.REMOVING),
        ([[REMOVING]], [status("removing")], ResourceState.REMOVING),
        ([[DEAD]], [None], None),
        ([[REMOVING]], [None], None),
        ([[DEAD], []], [status("dead")], None),
        ([[DEAD]], [status("dead")], ResourceState.FAILED),
        ([[REMOVING]], [status("dead")], ResourceState.FAILED),
        ([[DEAD]], [EngineTimedOutError("docker")], ResourceState.FAILED),
        ([[REMOVING]], [EngineTimedOutError("docker")], ResourceState.REMOVING),
    ],
)


@FATES
async def test_summary_of_container_listed_as_removing_is_inspected(lists, inspects, state):
    lookup = lookup_on(ScriptedAnswers(lists, inspects))
    found = await lookup.find_summary(ID)
    assert (found and found.state) is state
    if state is ResourceState.REMOVING:
        assert found is not None
        assert found.state_detail.reason is None
    if state is ResourceState.FAILED:
        assert found is not None
        assert found.state_detail.reason is StateReason.ERROR


@FATES
async def test_list_with_container_listed_as_removing_is_inspected(lists, inspects, state):
    lookup = lookup_on(ScriptedAnswers(lists, inspects))
    assert [each.state for each in await lookup.summaries()] == ([state] if state else [])


async def test_list_with_dead_container_inspects_it_once():
    engine = ScriptedAnswers([[REMOVING]], [status("dead")])
    lookup = lookup_on(engine)
    for _ in range(3):
        assert [each.state for each in await lookup.summaries()] == [ResourceState.FAILED]
    assert engine.asked.count(f"/containers/{ID}/json") == 1


class BlockingEngine(ScriptedAnswers):
    """An engine that delays answers to inspects until it is released."""

    def __init__(self, lists: list[Any], inspects: list[Any]) -> None:
        super().__init__(lists, inspects)
        self._answers[f"/containers/{OTHER_ID}/json"] = [status("dead")]
        self.asks, self.lets = asyncio.Event(), asyncio.Event()

    async def read(self, path, convert, **options):
        if ID in path:
            self.asks.set()
            await self.lets.wait()
        return await super().read(path, convert, **options)


async def test_list_during_inspect_returns_its_own_containers():
    other = [{**DEAD, "Id": OTHER_ID}]
    engine = BlockingEngine([[DEAD], other, other, [DEAD]], [status("dead")])
    lookup = lookup_on(engine)
    listing = asyncio.create_task(lookup.summaries())
    await engine.asks.wait()
    found = await lookup.find_summary(OTHER_ID)
    assert found is not None
    assert found.state is ResourceState.FAILED
    engine.lets.set()
    assert [(each.id, each.state) for each in await listing] == [(ID, ResourceState.FAILED)]


async def test_summary_of_container_not_removing_makes_one_call():
    engine = ScriptedAnswers([[listed(State="exited")]], [])
    found = await lookup_on(engine).find_summary(ID)
    assert found is not None
    assert found.state is ResourceState.STOPPED
    assert engine.asked == ["/containers/json"]
