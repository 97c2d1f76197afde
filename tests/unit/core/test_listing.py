"""Lists of FULL views while an engine answers late or not at all."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.listing import OrderBy, ResourceLister
from proad.core.slices import TimeSlicer
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
)
from proad.model import ResourceFilter, ResourceKind, ResourceState
from unit.core.inventory.scripted import ENGINE, Gate, Scripted, box, linked, until


@pytest.fixture
def patience():
    return 2.0


@pytest.fixture
def engine():
    return Scripted(*(box(str(n), f"c{n}") for n in range(5)))


@pytest.fixture
def far():
    return Scripted(box("9", "far"))


@pytest.fixture
async def connections(engine, far):
    return [await linked(engine), await linked(far, "far")]


@pytest.fixture
async def lister(connections, patience):
    inventory = Inventory(connections)
    hosts = Hosts(["local", "far"], connections)
    async with inventory.following():
        yield ResourceLister(hosts, inventory, TimeSlicer(), full_view_patience=patience)


@pytest.fixture
async def all_of(lister):
    """List all resources in the FULL view."""
    there = await lister.page(ResourceFilter(), OrderBy(""), 1000)

    async def listed(*, partial=False):
        async with asyncio.timeout(30):
            return await lister.full_views(there.resources, partial=partial)

    return listed


def commands(listed):
    """Only the FULL view has a command."""
    return {r.name: r.container.command for r in listed.resources}


FULL = dict.fromkeys(("c0", "c1", "c2", "c3", "c4", "far"), ("first",))


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (ResourceFilter(), ["c0", "c1", "c2", "c3", "c4", "far"]),
        (ResourceFilter(hosts=("local", "far")), ["c0", "c1", "c2", "c3", "c4", "far"]),
        (ResourceFilter(hosts=("far",)), ["far"]),
        (ResourceFilter(kinds=(ResourceKind.CONTAINER,)), ["c0", "c1", "c2", "c3", "c4", "far"]),
        (ResourceFilter(kinds=(ResourceKind.DOMAIN,)), []),
        (ResourceFilter(name_prefix="c"), ["c0", "c1", "c2", "c3", "c4"]),
        (ResourceFilter(name_prefix="d"), []),
        (ResourceFilter(ids=("9", "2", "2", "no")), ["c2", "far"]),
        (ResourceFilter(ids=("2", "9"), hosts=("far",)), ["far"]),
        (ResourceFilter(states=(ResourceState.PAUSED,)), []),
    ],
)
@pytest.mark.parametrize("text", ["name", "name desc", "create_time", "state, name desc"])
@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_page_filtered_pages_have_each_resource_once(lister, which, names, text, limit):
    order, found, after, more = OrderBy(text), [], None, True
    while more:
        page = await lister.page(which, order, limit, after=after)
        found += page.resources
        more, after = page.more, page.resources and order.position(page.resources[-1])

    assert found == sorted(found, key=lambda r: order.key(order.position(r)))
    assert sorted(r.name for r in found) == names


@pytest.mark.parametrize(
    "error",
    [
        EngineConflictError("scripted", "no"),
        CapabilityMissingError("this", driver="scripted"),
        KeyError("HostConfig"),
    ],
)
async def test_full_views_one_fails_is_a_summary(engine, all_of, error):
    async def fail(method, id):
        if (method, id) == ("full", "2"):
            raise error

    engine.before = fail
    with capture_logs():
        assert commands(await all_of()) == FULL | {"c2": ()}


async def test_full_views_keep_the_order(all_of):
    listed = await all_of()

    assert commands(listed) == FULL
    assert [r.name for r in listed.resources] == sorted(FULL)


@pytest.mark.parametrize("patience", [0.5])
async def test_full_views_one_hangs_is_a_summary(engine, all_of):
    engine.before = gate = Gate("full", "2")

    assert commands(await all_of()) == FULL | {"c2": ()}

    gate.open.set()
    assert commands(await all_of()) == FULL


@pytest.mark.parametrize("patience", [0.5])
async def test_full_views_one_hangs_is_read_once_for_two_lists(engine, all_of):
    engine.before = gate = Gate("full", "2")

    await all_of()
    await all_of()

    assert gate.most == 1


async def test_full_views_one_times_out_is_a_summary(engine, all_of):
    async def give_up(method, id):
        if (method, id) == ("full", "2"):
            raise EngineTimedOutError(engine.name)

    engine.before = give_up

    assert commands(await all_of()) == FULL | {"c2": ()}


@pytest.mark.parametrize("partial", [False, True])
async def test_full_views_one_is_refused_is_a_summary(engine, all_of, partial):
    """As of a container whose layer is gone."""

    async def refuse(method, id):
        if (method, id) == ("full", "2"):
            raise EngineConflictError(engine.name, "layer does not exist")

    engine.before = refuse

    listed = await all_of(partial=partial)
    assert (commands(listed), listed.unreachable) == (FULL | {"c2": ()}, ())


async def test_full_views_one_gone_is_left_out(engine, all_of):
    engine.take("2", tell=False)

    assert "c2" not in commands(await all_of())


async def test_full_views_engine_lost_meanwhile_fails_or_is_named(engine, connections, all_of):
    engine.before = gate = Gate("full")
    listing = [asyncio.ensure_future(all_of(partial=partial)) for partial in (False, True)]
    await until(lambda: gate.waiting == 5)
    engine.lost = True
    await connections[0].probe()

    with pytest.raises(EngineUnreachableError):
        await listing[0]
    partial = await listing[1]
    assert (commands(partial), partial.unreachable) == ({"far": ("first",)}, (ENGINE,))
