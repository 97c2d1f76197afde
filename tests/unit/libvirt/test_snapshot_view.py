from datetime import UTC, datetime

import pytest

from proad.drivers.libvirt.snapshots import view_of
from proad.model import ResourceState


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
def test_view_of_a_snapshot_has_state_and_memory(
    state: str, memory: str, expected: tuple[ResourceState, bool]
):
    seen = view_of(xml(state, memory), "some-id", "two")
    assert (seen.state, seen.has_memory) == expected
    assert (seen.name, seen.description, seen.parent) == ("two", "Second", "one")
    assert seen.create_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert seen.resource_id == "some-id"
    assert seen.current


def test_view_of_a_snapshot_that_is_not_current_says_so():
    assert not view_of(xml("shutoff", ""), "some-id", "one").current
