"""Stops of containers that are being removed when the stop ends."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.reader import ContainerReader
from proad.drivers.docker.stop import ContainerStopper
from proad.model import Lifetime, ResourceState, StopMode, StopOptions
from proad.ports import ignore
from unit.docker.engine_answers import ID, inspected, listed
from unit.docker.test_reader import REMOVING, ScriptedAnswers


class Killing(ScriptedAnswers):
    """An engine that accepts every kill."""

    async def post(self, _path: str, **_options: Any) -> Answer:
        return Answer(HTTPStatus.NO_CONTENT, b"")


@pytest.mark.parametrize(("auto_remove", "lifetime"), [(False, None), (True, Lifetime.TRANSIENT)])
async def test_stop_during_removal_returns_listed_lifetime_unless_transient(auto_remove, lifetime):
    host = {"AutoRemove": auto_remove}
    ended = inspected(HostConfig=host, State={"Status": "exited", "Running": False})
    removing = inspected(HostConfig=host, State={"Status": "removing", "Running": False})
    gone = [None] if auto_remove else []
    inspects = [inspected(HostConfig=host), ended, *gone, removing]
    engine: Any = Killing([[listed()], [REMOVING]], inspects)
    engine.timeout = timedelta(seconds=5)
    stopper = ContainerStopper(engine, ContainerReader(engine))
    stopped = await stopper.stop(ID, StopOptions(mode=StopMode.FORCE), ignore)
    assert (stopped.state, stopped.lifetime) == (ResourceState.STOPPED, lifetime)
