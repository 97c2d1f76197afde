"""What is left of a create whose end nobody heard of."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest

from proad.drivers.docker import create
from proad.drivers.docker.create import ContainerCreator
from proad.drivers.docker.http.api import Answer
from proad.errors import EngineTimedOutError
from proad.model import ContainerSpec
from proad.ports import ignore

ID = "a" * 64
SPEC = ContainerSpec(image="proa-test/busybox:1", name="late")
OK, NO_CONTENT, NOT_FOUND = HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND


class Late:
    """An engine that makes a container after its caller has gone.

    Args:
        removals: what it answers to each.
    """

    def __init__(self, *removals):
        self.removals = list(removals)
        self.there = True
        self.lists = 0

    async def post(self, _path, **_options):
        raise EngineTimedOutError("docker")

    async def get(self, path, **_options):
        if path == "/volumes":
            return Answer(OK, b'{"Volumes": null}')
        self.lists += 1
        return Answer(OK, json.dumps([{"Id": ID}] if self.there else []).encode())

    async def delete(self, _path, **_options):
        status = self.removals.pop(0)
        self.there = status != NO_CONTENT
        return Answer(status, b"")


@pytest.mark.parametrize(
    "removals",
    [
        # Docker lists what it makes a moment before it can find it.
        (NOT_FOUND, NO_CONTENT),
        (HTTPStatus.CONFLICT, NOT_FOUND, NO_CONTENT),
        (NO_CONTENT,),
    ],
)
async def test_it_is_gone_when_it_was_removed(monkeypatch, removals):
    monkeypatch.setattr(create, "_RETRY", 0.01)
    engine: Any = Late(*removals)
    creation = ContainerCreator(engine, None)

    with pytest.raises(EngineTimedOutError):
        await creation.create(SPEC, start=False, on_made=ignore)

    await asyncio.gather(*creation._cleanups)
    assert (engine.there, engine.removals, engine.lists) == (False, [], len(removals))
