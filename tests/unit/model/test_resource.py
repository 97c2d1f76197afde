from typing import Any

import pytest

from proad.model import Container, EngineRef, Resource, ResourceFilter, ResourceKind, ResourceState

WEB = Resource(
    id="1",
    kind=ResourceKind.CONTAINER,
    name="web-1",
    state=ResourceState.RUNNING,
    labels={"tier": "front", "empty": ""},
    engine=EngineRef("local", "docker"),
    container=Container(image="nginx:1", image_id="sha256:1"),
)
VM = Resource(
    id="2",
    kind=ResourceKind.DOMAIN,
    name="vm",
    state=ResourceState.SAVED,
    engine=EngineRef("far", "libvirt"),
)


@pytest.mark.parametrize(
    ("conditions", "web", "vm"),
    [
        ({}, True, True),
        ({"kinds": (ResourceKind.DOMAIN,)}, False, True),
        ({"kinds": tuple(ResourceKind)}, True, True),
        ({"states": (ResourceState.SAVED, ResourceState.PAUSED)}, False, True),
        ({"name_prefix": "web"}, True, False),
        ({"name_prefix": "eb"}, False, False),
        ({"labels": {"tier": "front"}}, True, False),
        ({"labels": {"tier": "front", "other": ""}}, False, False),
        ({"labels": {"empty": ""}}, True, False),
        ({"image": "nginx:1"}, True, False),
        ({"image": "nginx"}, False, False),
        ({"hosts": ("far", "further")}, False, True),
        ({"ids": ("1",)}, True, False),
        ({"ids": ("3", "2")}, False, True),
        ({"ids": ("web-1",)}, False, False),  # names have been made ids before
        ({"name_prefix": "web", "kinds": (ResourceKind.DOMAIN,)}, False, False),
        ({"ids": ("1", "2"), "hosts": ("far",)}, False, True),
    ],
)
def test_matches_checks_every_condition(conditions: dict[str, Any], web: bool, vm: bool):  # noqa: FBT001 - table
    which = ResourceFilter(**conditions)
    assert (which.matches(WEB), which.matches(VM)) == (web, vm)
