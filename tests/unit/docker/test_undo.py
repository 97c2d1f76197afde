"""The clean-up after a create that timed out."""

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from proad.drivers.docker.create import ContainerCreator
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.reader import ContainerReader
from proad.drivers.docker.recovery import ContainerRecovery
from proad.drivers.docker.timing import CleanUpTiming
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import EngineTimedOutError
from proad.model import ContainerSpec
from proad.ports import unannounced

ID = "a" * 64
IMAGE_ID = "sha256:1"
SPEC = ContainerSpec(image="proa-test/busybox:1", name="late")
OK, NO_CONTENT, NOT_FOUND = HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND


def creator_of(engine: Any, timing: CleanUpTiming) -> ContainerCreator:
    reader, under_way = ContainerReader(engine), CreatesUnderWay("docker")
    return ContainerCreator(
        engine, reader, ContainerRecovery(engine, reader, under_way), under_way, timing
    )


class DelayedEngine:
    """An engine that creates a container after its caller has gone.

    Args:
        removals: the status of the answer to each removal.
    """

    def __init__(self, *removals):
        self.removals = list(removals)
        self.there = True
        self.lists = 0
        self.labels = {}

    async def post(self, _path, *, body, **_options):
        self.labels = body["Labels"]
        raise EngineTimedOutError("docker")

    async def get(self, path, **_options):
        if path == "/volumes":
            return Answer(OK, b'{"Volumes": null}')
        if path.startswith("/images/"):
            return Answer(OK, json.dumps({"Id": IMAGE_ID}).encode())
        self.lists += 1
        listed = {"Id": ID, "ImageID": IMAGE_ID, "Labels": self.labels}
        return Answer(OK, json.dumps([listed] if self.there else []).encode())

    async def read(self, path, convert, **_options):
        return convert(await self.get(path))

    async def delete(self, _path, **_options):
        status = self.removals.pop(0)
        self.there = status != NO_CONTENT
        return Answer(status, b"")


@pytest.mark.parametrize(
    "removals",
    [
        # Docker lists a new container a moment before an inspect finds it.
        (NOT_FOUND, NO_CONTENT),
        (HTTPStatus.CONFLICT, NOT_FOUND, NO_CONTENT),
        (NO_CONTENT,),
    ],
)
async def test_create_container_timed_out_is_undone_when_made_late(removals):
    engine: Any = DelayedEngine(*removals)
    timing = CleanUpTiming(wait=timedelta(seconds=30), retry_after=timedelta(milliseconds=10))
    creator = creator_of(engine, timing)

    with pytest.raises(EngineTimedOutError):
        await creator.create(SPEC, start=False, announce=unannounced)

    # One list tells that the name is free.
    assert (engine.there, engine.removals, engine.lists) == (False, [], 1 + len(removals))


class FrozenEngine(DelayedEngine):
    """An engine that answers nothing."""

    async def get(self, path, **_options):
        self.asked.append(path)
        raise EngineTimedOutError("docker")

    def __init__(self):
        super().__init__()
        self.asked = []


async def test_create_container_timed_out_before_anything_was_made_undoes_nothing():
    engine: Any = FrozenEngine()
    timing = CleanUpTiming(wait=timedelta(seconds=1), retry_after=timedelta(milliseconds=10))
    creator = creator_of(engine, timing)

    with pytest.raises(EngineTimedOutError):
        await creator.create(SPEC, start=False, announce=unannounced)
    await creator.close()

    assert len(engine.asked) == 1
