"""From the model to the contract, also where a value does not fit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from structlog.testing import capture_logs

from proa import v1
from proad.errors import EngineConflictError
from proad.model import ContainerSpec, PublishedPort
from proad.rpc import encode as module
from proad.rpc.encode import encode
from proad.rpc.status import to_status
from unit.core.inventory.scripted import box

EAST = timezone(timedelta(hours=-12))


@pytest.fixture(autouse=True)
def fresh():
    module.plan.cache_clear()
    yield
    module.plan.cache_clear()


@pytest.mark.parametrize(
    "odd",
    [
        {"pid": 2**31},
        {"pid": -(2**31) - 1},
        {"hostname": 5},
        {"hostname": "\ud800"},
        {"env": {"a": "\ud800"}},
        {"command": ("a", None)},
        {"ports": 5},
        {"ports": (PublishedPort(container_port=2**31),)},
        {"health": "SICK"},
        {"spec": ContainerSpec(image="web", stop_timeout=timedelta.max)},
        {"spec": "none"},
    ],
)
def test_encode_value_that_does_not_fit_leaves_it_out(odd):
    resource = box(create_time=datetime(2026, 1, 1, tzinfo=UTC))
    resource = replace(resource, container=replace(resource.container, restart_count=3, **odd))
    with capture_logs() as logs:
        encode(v1.Resource, resource)
        found = encode(v1.Resource, resource)
    assert (found.name, found.container.restart_count) == ("web", 3)
    assert found.create_time.seconds
    found.SerializeToString()
    assert len(logs) == 1


def test_encode_time_beyond_the_calendar_leaves_it_out():
    late = datetime(9999, 12, 31, 23, tzinfo=EAST)
    with capture_logs():
        found = encode(v1.Resource, box(create_time=late))
    assert found.name == "web"
    assert not found.HasField("create_time")
    found.SerializeToString()


def test_to_status_of_a_text_with_lone_surrogates_replaces_them():
    status = to_status(EngineConflictError("docker", "no \ud800 such"), "1")
    assert "no ? such" in status.details
