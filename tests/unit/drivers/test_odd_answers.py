"""Odd answers, mutated from recorded ones, through every view, core and encoding."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import fields
from datetime import timedelta
from http import HTTPStatus
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from answers.feed import Feed, recorded
from answers.mutate import ODD, odd_json
from proad.drivers.docker import DockerDriver
from proad.errors import ProaError
from proad.model import (
    ContainerSpec,
    Resource,
    ResourceView,
    StopMode,
    StopOptions,
)
from proad.rpc.encodings import first_field
from resource_details import container_of
from unit.docker.engine_answers import full
from unit.docker.scripted import ScriptedEngine

INSPECTS = recorded("docker")["inspect"]
WEB = INSPECTS[0]
# The most fields that one part of an answer affects: the state, its detail, health and
# process.
MOST_FIELDS = 4
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]), max_size=2),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=5,
)

Path = tuple[str | int, ...]


def paths(answer: Any, path: Path = ()) -> Iterator[Path]:
    """Return the paths of all values in an answer."""
    if path:
        yield path
    pairs: Any = ()
    if isinstance(answer, dict):
        pairs = answer.items()
    elif isinstance(answer, list):
        pairs = enumerate(answer)
    for key, value in pairs:
        yield from paths(value, (*path, key))


def leaves(answer: Any) -> list[Path]:
    return [path for path in paths(answer) if not isinstance(at(answer, path), dict | list)]


def at(answer: Any, path: Path) -> Any:
    for key in path:
        answer = answer[key]
    return answer


def with_odd(answer: Any, path: Path, odd: Any) -> Any:
    """Return a copy of an answer with another value at a path."""
    answer = deepcopy(answer)
    at(answer, path[:-1])[path[-1]] = odd
    return answer


def differing(one: Resource, other: Resource) -> set[str]:
    """Return the names of the fields that differ in two resources and their containers."""
    found = set()
    for mine, theirs in ((one, other), (container_of(one), container_of(other))):
        names = (field.name for field in fields(mine) if field.name != "container")
        found |= {name for name in names if getattr(mine, name) != getattr(theirs, name)}
    return found


@pytest.mark.parametrize("seed", range(4))
def test_views_of_odd_answers_raise_nothing(seed: int):
    with capture_logs() as logs:
        report = Feed(seed).run(2_500)
    assert report.answers >= 2_500
    # Values that do not fit the contract were left out when read rather than when encoded.
    assert {line["event"] for line in logs} == {"answer unreadable"}


def test_feed_with_same_seed_is_equal():
    reports = []
    for _ in range(2):
        with capture_logs() as logs:
            Feed(5).run(300)
        reports.append(logs)
    assert reports[0] == reports[1] != []


@pytest.mark.parametrize("inspect", range(len(INSPECTS)))
def test_view_with_odd_leaf_keeps_the_rest(inspect: int):
    ordinary = full(INSPECTS[inspect])
    with capture_logs():
        for path in leaves(INSPECTS[inspect]):
            for odd in ODD[:: 2 if inspect == 0 else 9]:
                seen = full(with_odd(INSPECTS[inspect], path, odd))
                assert len(differing(ordinary, seen)) <= MOST_FIELDS, (path, odd)


@given(path=st.sampled_from(list(paths(WEB))), odd=VALUES)
def test_view_with_any_json_is_read_and_encoded(path: Path, odd: Any):
    with capture_logs() as logs:
        first_field(full(with_odd(WEB, path, odd)))
    assert {line["event"] for line in logs} <= {"answer unreadable"}


class OddEngine(ScriptedEngine):
    """Answers like a real engine, with some parts mutated."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)
        self._recorded = recorded("docker")
        self._recorded["version"][0]["ApiVersion"] = "1.41"

    async def _content(self, method: str, path: str) -> tuple[HTTPStatus, Any]:
        self.calls[f"{method} {path}"] += 1
        ordinary = self._ordinary(method, path.strip("/").split("/"))
        if ordinary is None:
            return HTTPStatus.NO_CONTENT, None
        if path == "/version" and self._random.random() < 0.9:
            return HTTPStatus.OK, ordinary
        return HTTPStatus.OK, odd_json(ordinary, self._random)

    def _ordinary(self, method: str, steps: list[str]) -> Any:
        match method, steps:
            case "GET", ["containers", _, "json"]:
                answer: Any = WEB
            case "GET", ["images", _, "json"]:
                answer = self._recorded["image"][0]
            case "GET", ["containers", _, "stats"]:
                answer = self._recorded["stats"][0]
            case "DELETE", ["images", _]:
                answer = [{"Untagged": "a"}, {"Deleted": "b"}]
            case _:
                answer = {
                    "version": self._recorded["version"][0],
                    "info": self._recorded["info"][0],
                    "containers/json": self._recorded["list"],
                    "images/json": self._recorded["images"],
                    "containers/create": {"Id": WEB["Id"], "Warnings": ["w"]},
                    "volumes": {"Volumes": [{"Name": "v"}]},
                }.get("/".join(steps))
        return answer


@pytest.mark.parametrize("seed", range(12))
async def test_driver_calls_on_odd_engine_raise_own_errors_only(
    seed: int, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("odd")
    engine = OddEngine(seed)
    server = await asyncio.start_unix_server(engine.serve, folder / "e")
    id = WEB["Id"]
    spec = ContainerSpec(image="i")
    async with DockerDriver(f"unix://{folder}/e", timeout=timedelta(seconds=0.3)) as driver:
        calls = (
            driver.probe,
            driver.list_resources,
            lambda: driver.list_resources(ResourceView.FULL),
            lambda: driver.get_resource(id),
            lambda: driver.get_resource(id, ResourceView.SUMMARY),
            lambda: driver.find_id("web"),
            driver.list_images,
            lambda: driver.get_image("i"),
            lambda: driver.delete_image("i"),
            lambda: driver.stats([id]),
            lambda: driver.start(id),
            lambda: driver.pause(id),
            lambda: driver.resume(id),
            lambda: driver.stop(id, StopOptions(mode=StopMode.FORCE)),
            lambda: driver.delete(id),
            lambda: driver.layer_size(id),
            lambda: driver.env_secrets(id),
            lambda: driver.create_container(spec, start=True),
        )
        with capture_logs():
            for call in calls * 2:
                with suppress(ProaError):
                    await call()
    server.close()
    await engine.close()
    assert sum(engine.calls.values()) > len(calls)
