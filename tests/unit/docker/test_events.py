"""Translation of Docker's events to those of the ports."""

from typing import Any

import pytest

from proad.drivers.docker.events import translate
from proad.model import EngineEvent
from unit.docker.engine_answers import ID, to_value


def told(action: str, **attributes: str) -> dict[str, Any]:
    return {"Type": "container", "Action": action, "Actor": {"ID": ID, "Attributes": attributes}}


def of_network(action: str, **attributes: str) -> dict[str, Any]:
    return {"Type": "network", "Action": action, "Actor": {"ID": "n", "Attributes": attributes}}


@pytest.mark.parametrize(
    ("item", "event", "early"),
    [
        (told("create"), EngineEvent(id=ID), False),
        (told("start"), EngineEvent(id=ID), False),
        (told("pause"), EngineEvent(id=ID), True),
        (told("unpause"), EngineEvent(id=ID), True),
        (told("die", exitCode="0"), EngineEvent(id=ID, ended=True), True),
        (told("destroy"), EngineEvent(id=ID, removed=True), False),
        (told("update"), EngineEvent(id=ID, reconfigured=True), False),
        (told("rename"), EngineEvent(id=ID), True),
        (told("health_status: healthy"), EngineEvent(id=ID, reconfigured=True), False),
        (told("oom"), EngineEvent(id=ID, reconfigured=True), True),
        (told("something-new"), EngineEvent(id=ID), False),
        (of_network("connect", container=ID), EngineEvent(id=ID), True),
        (of_network("disconnect", container=ID), EngineEvent(id=ID), True),
    ],
)
def test_translate_changing_event_returns_its_flags(
    item: dict[str, Any], event: EngineEvent, *, early: bool
):
    found = translate(to_value(item))
    assert found is not None
    assert (found.event, found.early) == (event, early)
    assert found.state_only == (item["Action"] in {"pause", "unpause"})


@pytest.mark.parametrize(
    "item",
    [
        told("exec_create: sh -c 'die'"),
        told("exec_start: true"),
        told("exec_die"),
        told("top"),
        told("attach"),
        told("resize"),
        told("commit"),
        told("archive-path"),
        told("kill", signal="15"),
        of_network("create", name="x"),
        of_network("destroy", name="x"),
        of_network("connect", container="ingress-sbox"),
        {"Type": "container", "Action": "prune", "Actor": {"ID": "", "Attributes": {}}},
        {"Type": "image", "Action": "tag", "Actor": {"ID": ID}},
        {"Type": "container", "Action": "start"},
        {},
    ],
)
def test_translate_unchanging_event_returns_none(item: dict[str, Any]):
    assert translate(to_value(item)) is None


def test_events_of_one_container_are_merged():
    ended = EngineEvent(id=ID, ended=True)
    changed = EngineEvent(id=ID, reconfigured=True)
    assert (ended | EngineEvent(id=ID)) == ended
    assert (ended | changed) == EngineEvent(id=ID, ended=True, reconfigured=True)
    assert (changed | EngineEvent(id=ID, removed=True)) == EngineEvent(
        id=ID, removed=True, reconfigured=True
    )
