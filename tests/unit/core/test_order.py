"""Orders of lists, and what a violation says."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proad.core.listing import OrderBy
from proad.errors import InvalidArgumentError, PageTokenInvalidError
from proad.model import (
    ContainerSpec,
    DomainSpec,
    EngineRef,
    Resource,
    ResourceKind,
    ResourceState,
    StopOptions,
    validate,
)

FIELDS = ["name", "kind", "state", "create_time", "host"]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RESOURCES = st.builds(
    Resource,
    id=st.sampled_from("123"),
    kind=st.sampled_from(ResourceKind),
    name=st.text(max_size=2),
    state=st.sampled_from(ResourceState),
    engine=st.builds(EngineRef, host=st.sampled_from("ab")),
    create_time=st.none() | st.integers(0, 3).map(lambda n: BEGIN + timedelta(seconds=n / 2)),
)
TERMS = st.tuples(st.sampled_from(FIELDS), st.sampled_from(["", " asc", " desc"]))
ORDERS = st.lists(TERMS, min_size=1, max_size=4)


def sort_key(order):
    return lambda resource: order.key(order.position(resource))


@given(ORDERS, st.lists(RESOURCES, max_size=12, unique_by=lambda r: (r.id, r.engine.host)))
def test_order_of_any_fields_sorts_as_repeated_stable_sorts_do(terms, resources):
    order = OrderBy(",".join(field + direction for field, direction in terms))
    wanted = sorted(resources, key=lambda r: (r.id, r.engine.host))
    for field, direction in reversed(terms):
        wanted.sort(
            key=lambda r: (
                (r.create_time or BEGIN - timedelta(1))
                if field == "create_time"
                else (r.engine.host if field == "host" else getattr(r, field))
            ),
            reverse=direction == " desc",
        )

    assert sorted(resources, key=sort_key(order)) == wanted


@given(ORDERS, RESOURCES)
def test_position_is_plain_strings_that_a_page_token_can_carry(terms, resource):
    order = OrderBy(",".join(field + direction for field, direction in terms))
    position = order.position(resource)

    assert tuple(json.loads(json.dumps(position))) == position


@given(ORDERS, RESOURCES, RESOURCES)
def test_positions_of_two_resources_differ(terms, one, other):
    order = OrderBy(",".join(field + direction for field, direction in terms))

    same = (one.id, one.engine.host) == (other.id, other.engine.host)
    assert same or order.position(one) != order.position(other)


def test_key_of_a_position_of_another_order_is_refused():
    position = OrderBy("name,state").position(
        Resource(id="1", kind=ResourceKind.DOMAIN, name="a", state=ResourceState.RUNNING)
    )

    with pytest.raises(PageTokenInvalidError):
        OrderBy("name").key(position)


SAYS = [
    (ContainerSpec, {}, "spec.image", "is required"),
    (ContainerSpec, {"image": ""}, "spec.image", "must not be empty"),
    (ContainerSpec, {"image": "a", "name": "x" * 300}, "spec.name", "must have at most 250 characters"),
    (ContainerSpec, {"image": "a", "name": "a b"}, "spec.name", "must have two or more letters and digits of ASCII, and after the first also '_.-'"),
    (ContainerSpec, {"image": "a", "shm_size_bytes": 2**64 - 1}, "spec.shm_size_bytes", f"must be at most {2**63 - 1}"),
    (ContainerSpec, {"image": "a\0"}, "spec.image", "must not contain a NUL character"),
    (ContainerSpec, {"image": "a", "stop_signal": "now"}, "spec.stop_signal", "must be a signal, such as SIGINT or 2"),
    (ContainerSpec, {"image": "a", "mounts": ({"target": "a"},)}, "spec.mounts[0].target", "must be an absolute path without '..'"),
    (ContainerSpec, {"image": "a", "mounts": ({"target": "/a"},)}, "spec.mounts[0]", "set exactly one of bind, volume and tmpfs"),
    (DomainSpec, {"name": "vm", "memory_bytes": 1024}, "spec.memory_bytes", "must be at least 33554432"),
    (DomainSpec, {"name": "vm", "memory_bytes": 2**25 + 1}, "spec.memory_bytes", "must be a multiple of 1024"),
    (DomainSpec, {"name": "vm/", "memory_bytes": 2**25}, "spec.name", "must consist of letters and digits of ASCII, and after the first also '_.+-'"),
    (DomainSpec, {"name": "vm", "memory_bytes": 2**25, "uuid": "1"}, "spec.uuid", "must be a UUID"),
    (DomainSpec, {"name": "vm", "memory_bytes": 2**25, "title": "a\nb"}, "spec.title", "must be one line"),
    (DomainSpec, {"name": "vm", "memory_bytes": 2**25, "description": "\uffff"}, "spec.description", "must not contain control characters"),
    (StopOptions, {"grace_period": timedelta(hours=2)}, "spec.grace_period", "must be at most 1 hour"),
    (StopOptions, {"grace_period": timedelta(seconds=-1)}, "spec.grace_period", "must be at least 0 seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "values", "field", "text"), SAYS)
def test_order_violation_message_names_the_problem(cls, values, field, text):
    with pytest.raises(InvalidArgumentError) as caught:
        validate(cls, values, prefix="spec")

    (violation,) = caught.value.violations
    assert (violation.field, violation.description) == (field, text)
