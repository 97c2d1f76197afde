"""The sorted indexes: pages equal those of a sorted list after any changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proad.core.inventory.index import LONGEST_NAME, ResourceIndex
from proad.core.listing import OrderBy
from proad.model import EngineRef, Resource, ResourceKind, ResourceState

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# An id is unique on its host alone.
ENGINES = [EngineRef(host, "docker") for host in "abc"]
RESOURCES = st.builds(
    Resource,
    id=st.sampled_from(["0a-1", "0a2", "0b1", "1a1"]),
    kind=st.sampled_from(ResourceKind),
    name=st.text(alphabet="ab\U0010ffff", max_size=3),
    state=st.just(ResourceState.RUNNING),
    create_time=st.none() | st.integers(0, 3).map(lambda n: BEGIN + timedelta(seconds=n / 2)),
)
OWNERS = st.sampled_from(["", "ann", "red"])
# An engine, a resource, its owner, and whether it is put or removed.
STEPS = st.lists(st.tuples(st.sampled_from(ENGINES), RESOURCES, OWNERS, st.booleans()), max_size=20)
ORDERS = st.sampled_from(["name", "name desc", "create_time", "create_time desc"])
KINDS = st.sets(st.sampled_from(ResourceKind))
COVERED = st.sets(st.sampled_from(ENGINES))


def built(steps):
    """Apply puts and removals to an index and to a plain mapping."""
    index, there = ResourceIndex(), {}
    for engine, resource, owner_id, stays in steps:
        if stays:
            index.put(engine, resource)
            index.own(engine, resource.id, owner_id)
            there[engine, resource.id] = replace(resource, owner_id=owner_id)
        else:
            index.remove(engine, resource.id)
            there.pop((engine, resource.id), None)
    return index, there


def position(there, key, order):
    resource = there[key]
    value, id, _host = order.position(resource)
    return value, id, key[0].host


@given(
    STEPS,
    ORDERS,
    COVERED,
    KINDS,
    st.integers(1, 4),
    st.none() | st.sets(st.sampled_from(["ann", "red"])),
)
def test_pages_in_sequence_are_the_sorted_resources(steps, text, covered, kinds, limit, owners):
    index, there = built(steps)
    order = OrderBy(text)
    assert order.kept is not None
    field, descending = order.kept
    wanted = sorted(
        (
            position(there, key, order)
            for key, r in there.items()
            if key[0] in covered and r.kind in kinds and (owners is None or r.owner_id in owners)
        ),
        key=order.key,
    )
    pairs = [(engine, kind) for engine in covered for kind in kinds]

    found: list[tuple[str, ...]] = []
    after = None
    while page := index.page(
        field, pairs, limit, descending=descending, after=after, owners=owners
    ):
        found += (position(there, key, order) for key in page)
        after = found[-1]
        assert len(page) <= limit

    assert found == wanted


@given(STEPS, st.text(alphabet="ab\U0010ffff", max_size=2), st.none() | RESOURCES)
def test_page_of_prefix_has_matching_names(steps, prefix, after):
    index, there = built(steps)
    order = OrderBy("name")
    begin = after and (after.name, after.id, "a")
    wanted = sorted(p for key in there if (p := position(there, key, order))[0].startswith(prefix))

    pairs = [(engine, kind) for engine in ENGINES for kind in ResourceKind]
    page = index.page("name", pairs, 100, after=begin, prefix=prefix)

    found = [position(there, key, order) for key in page]
    assert found == [p for p in wanted if begin is None or p > begin]


@given(STEPS, st.sampled_from(["0", "0a", "0a1", "1a12", "2"]))
def test_starting_finds_ids_by_their_digits(steps, digits):
    index, there = built(steps)

    wanted = {key for key in there if key[1].replace("-", "").startswith(digits)}
    pairs = [(engine, kind) for engine in ENGINES for kind in ResourceKind]
    found = [(pair[0], id) for pair in pairs for id in index.starting(digits, *pair)]

    assert set(found) == wanted
    assert len(found) == len(wanted)
    assert sum(index.count_starting(digits, *pair) for pair in pairs) == len(wanted)


@given(STEPS, OWNERS)
def test_owned_finds_the_resources_of_an_owner(steps, owner_id):
    index, there = built(steps)
    pairs = [(engine, kind) for engine in ENGINES for kind in ResourceKind]
    found = [(pair[0], id) for pair in pairs for id in index.owned(*pair, owner_id)]
    wanted = {key for key, r in there.items() if owner_id in {"", r.owner_id}}
    assert set(found) == wanted
    assert len(found) == len(wanted)


def test_page_of_overlong_names_is_ordered_by_id():
    index = ResourceIndex()
    for id, end in (("1", "z"), ("2", "a")):
        name = "n" * LONGEST_NAME + end
        resource = Resource(
            id=id, kind=ResourceKind.CONTAINER, name=name, state=ResourceState.RUNNING
        )
        index.put(ENGINES[0], resource)

    page = index.page("name", [(ENGINES[0], ResourceKind.CONTAINER)], 2)

    assert page == [(ENGINES[0], "1"), (ENGINES[0], "2")]
