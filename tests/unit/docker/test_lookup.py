"""Looks at containers that the engine is in the middle of removing."""

import json
from http import HTTPStatus
from typing import Any

import pytest

from proad.drivers.docker.api import Answer
from proad.drivers.docker.lookup import Lookup
from proad.errors import EngineTimedOutError
from proad.model import ResourceState
from unit.docker.test_view import ID, inspected, listed

DEAD = {**listed(), "State": "dead", "Status": "Dead"}


class Saying:
    """An engine that gives these answers to lists and to inspects, the last one again."""

    def __init__(self, lists: list[Any], inspects: list[Any]) -> None:
        self._answers = {"/containers/json": lists, f"/containers/{ID}/json": inspects}
        self.asked: list[str] = []

    async def read(self, path, convert, **_options):
        self.asked.append(path)
        answers = self._answers[path]
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if said is None:
            return convert(Answer(HTTPStatus.NOT_FOUND, b"{}"))
        if isinstance(said, Exception):
            raise said
        return convert(Answer(HTTPStatus.OK, json.dumps(said).encode()))


def status(word):
    return inspected(State={"Status": word, "Running": False})


@pytest.mark.parametrize(
    ("lists", "inspects", "state"),
    [
        ([[DEAD]], [status("removing")], ResourceState.REMOVING),
        ([[DEAD]], [None], None),
        ([[DEAD], []], [status("dead")], None),
        ([[DEAD]], [status("dead")], ResourceState.FAILED),
        ([[DEAD]], [EngineTimedOutError("docker")], ResourceState.FAILED),
    ],
)
async def test_summary_of_one_that_is_listed_as_dead_is_what_it_is(lists, inspects, state):
    lookup = Lookup(Saying(lists, inspects))
    found = await lookup.find_summary(ID)
    assert (found and found.state) is state
    if state is ResourceState.REMOVING:
        assert found.state_detail.reason is None


async def test_summary_of_any_other_is_one_call():
    engine = Saying([[listed(State="exited")]], [])
    assert (await Lookup(engine).find_summary(ID)).state is ResourceState.STOPPED
    assert engine.asked == ["/containers/json"]
