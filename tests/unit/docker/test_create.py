"""Creates of containers, with scripted answers of the engine."""

from http import HTTPStatus
from typing import Any

import pytest

from proad.drivers.docker.create import ContainerCreator
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.reader import ContainerReader
from proad.drivers.docker.recovery import ContainerRecovery
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import AlreadyExistsError
from proad.model import ContainerSpec
from proad.ports import unannounced


class NameTakenEngine:
    """An engine in which a container that is not listed yet holds the name."""

    async def post(self, path, **_options):
        assert path == "/containers/create"
        return Answer(HTTPStatus.CONFLICT, b'{"message": "name in use"}')

    async def get(self, path, **_options):
        if path.startswith("/images/"):
            return Answer(HTTPStatus.OK, b'{"Id": "sha256:1"}')
        if path.endswith("/json") and path != "/containers/json":
            return Answer(HTTPStatus.NOT_FOUND, b"{}")
        return Answer(HTTPStatus.OK, b'{"Volumes": []}' if path == "/volumes" else b"[]")


async def test_create_container_with_name_of_hidden_container_is_refused():
    engine: Any = NameTakenEngine()
    reader, under_way = ContainerReader(engine), CreatesUnderWay("docker")
    creation = ContainerCreator(
        engine, reader, ContainerRecovery(engine, reader, under_way), under_way
    )
    spec = ContainerSpec(image="proa-test/busybox:1", name="web")
    with pytest.raises(AlreadyExistsError) as caught:
        await creation.create(spec, start=False, announce=unannounced)
    assert caught.value.metadata == {"container": "web"}
