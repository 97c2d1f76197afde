"""The order of snapshots."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proad.core.snapshot_operations import sort_by_age
from proad.model import ResourceState, Snapshot

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


def names(found: list[Snapshot]) -> list[str]:
    return [positioned.snapshot.name for positioned in sort_by_age(found)]


@given(st.permutations([taken("b", "c"), taken("d"), taken("a", second=1), taken("c", "d")]))
def test_sort_by_age_same_second_puts_the_parent_first(found: list[Snapshot]):
    assert names(found) == ["d", "c", "b", "a"]


def test_sort_by_age_compares_ancestors_as_numbers():
    line = [taken("0"), *(taken(f"{n}", f"{n - 1}") for n in range(1, 12))]

    assert names(line[::-1]) == [each.name for each in line]


def test_sort_by_age_contradictory_parents_ends():
    """The clock was set back, a parent is gone, or two snapshots are each other's parents."""
    found = [taken("a", "b"), taken("b", "a"), taken("c", "gone", second=-5), taken("d", "c")]

    assert names([*found, taken("e", second=None)])[:2] == ["e", "c"]
    assert len(names(found)) == 4


@given(st.sampled_from("abc"))
def test_sort_by_age_one_deleted_leaves_other_positions(gone: str):
    found = [taken("a"), taken("b", "a", second=1), taken("c", "b", second=2)]
    found += [taken("e", "c", second=3), taken("d", "e", second=3)]
    left = [each for each in found if each.name != gone]

    before = {positioned.snapshot.name: positioned.position for positioned in sort_by_age(found)}
    assert {positioned.snapshot.name: positioned.position for positioned in sort_by_age(left)} == {
        name: position for name, position in before.items() if name != gone
    }
