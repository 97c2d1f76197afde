from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proad.drivers.libvirt.snapshots import in_order, view_of
from proad.model import ResourceState, Snapshot


def xml(state: str, memory: str) -> str:
    return f"""<domainsnapshot>
      <name>two</name><description>Second</description><state>{state}</state>
      <parent><name>one</name></parent><creationTime>1767323045</creationTime>{memory}
    </domainsnapshot>"""


@pytest.mark.parametrize(
    ("state", "memory", "expected"),
    [
        ("running", "<memory snapshot='internal'/>", (ResourceState.RUNNING, True)),
        ("paused", "<memory snapshot='external' file='/x'/>", (ResourceState.PAUSED, True)),
        ("shutoff", "<memory snapshot='no'/>", (ResourceState.STOPPED, False)),
        ("disk-snapshot", "<memory snapshot='no'/>", (ResourceState.STOPPED, False)),
        ("running", "", (ResourceState.STOPPED, False)),
    ],
)
def test_state_and_memory(state: str, memory: str, expected: tuple[ResourceState, bool]):
    seen = view_of(xml(state, memory), "some-id", "two")
    assert (seen.state, seen.has_memory) == expected
    assert (seen.name, seen.description, seen.parent) == ("two", "Second", "one")
    assert seen.create_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert seen.resource_id == "some-id"
    assert seen.current


def test_another_one_is_current():
    assert not view_of(xml("shutoff", ""), "some-id", "one").current


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def taken(name: str, parent: str = "", *, second: int | None = 0) -> Snapshot:
    time = None if second is None else NOON + timedelta(seconds=second)
    return Snapshot(
        name=name,
        resource_id="some-id",
        create_time=time,
        state=ResourceState.STOPPED,
        parent=parent,
    )


@given(st.permutations([taken("c", "b"), taken("a"), taken("d", second=1), taken("b", "a")]))
def test_oldest_first_and_of_one_second_the_parent(found: list[Snapshot]):
    assert [each.name for each in in_order(found)] == ["a", "b", "c", "d"]


def test_an_order_even_where_there_can_be_none():
    """A clock that was set back, a parent that is gone, two that are each other's parents."""
    found = [taken("a", "b"), taken("b", "a"), taken("c", "gone", second=-5), taken("d", "c")]
    assert [each.name for each in in_order([*found, taken("e", second=None)])][:2] == ["e", "c"]
    assert len(in_order(found)) == 4
