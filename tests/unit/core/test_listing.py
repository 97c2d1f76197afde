"""ResourceLister of FULL views, while something answers late or not at all."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proad.core import listing
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
from proad.model import ResourceFilter
from unit.core.inventory.scripted import Gate, Scripted, box, linked, until


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
async def lister(connections):
    inventory = Inventory(connections)
    async with inventory.following():
        yield ResourceLister(Hosts(["local", "far"], connections), inventory, TimeSlicer())


@pytest.fixture
async def all_of(lister):
    """ResourceLister all there is in the FULL view."""
    there = await lister.resources(ResourceFilter(), OrderBy(""), partial=False)

    async def listed(*, partial=False):
        async with asyncio.timeout(30):
            return await lister.in_full(there.resources, partial=partial)

    return listed


def commands(listed):
    """Only the FULL view has a command."""
    return {r.name: r.container.command for r in listed.resources}


FULL = dict.fromkeys(("c0", "c1", "c2", "c3", "c4", "far"), ("first",))


@pytest.mark.parametrize(
    "error",
    [
        EngineConflictError("scripted", "no"),
        CapabilityMissingError("this", driver="scripted"),
        KeyError("HostConfig"),
    ],
)
async def test_one_that_fails_in_any_way_is_a_summary_and_spoils_no_list(engine, all_of, error):
    async def fail(method, id):
        if (method, id) == ("full", "2"):
            raise error

    engine.before = fail
    with capture_logs():
        assert commands(await all_of()) == FULL | {"c2": ()}


async def test_all_in_order(all_of):
    listed = await all_of()

    assert commands(listed) == FULL
    assert [r.name for r in listed.resources] == sorted(FULL)


async def test_one_that_hangs_is_a_summary(engine, all_of, monkeypatch):
    monkeypatch.setattr(listing, "SILENCE", 0.5)
    engine.before = gate = Gate("full", "2")

    assert commands(await all_of()) == FULL | {"c2": ()}

    gate.open.set()
    assert commands(await all_of()) == FULL


async def test_who_waits_for_a_hung_one_asks_no_second_time(engine, all_of, monkeypatch):
    monkeypatch.setattr(listing, "SILENCE", 0.5)
    engine.before = gate = Gate("full", "2")

    await all_of()
    await all_of()

    assert gate.most == 1


async def test_one_that_the_engine_gives_up_on_is_a_summary(engine, all_of):
    async def give_up(method, id):
        if (method, id) == ("full", "2"):
            raise EngineTimedOutError(engine.name)

    engine.before = give_up

    assert commands(await all_of()) == FULL | {"c2": ()}


@pytest.mark.parametrize("partial", [False, True])
async def test_one_that_the_engine_refuses_is_a_summary(engine, all_of, partial):
    """As of a container whose layer is gone."""

    async def refuse(method, id):
        if (method, id) == ("full", "2"):
            raise EngineConflictError(engine.name, "layer does not exist")

    engine.before = refuse

    listed = await all_of(partial=partial)
    assert (commands(listed), listed.unreachable) == (FULL | {"c2": ()}, ())


async def test_one_that_is_gone_is_left_out(engine, all_of):
    engine.take("2", tell=False)

    assert "c2" not in commands(await all_of())


async def test_an_engine_that_is_lost_meanwhile(engine, connections, all_of):
    engine.before = gate = Gate("full")
    listing = [asyncio.ensure_future(all_of(partial=partial)) for partial in (False, True)]
    await until(lambda: gate.waiting == 5)
    engine.lost = True
    await connections[0].probe()

    with pytest.raises(EngineUnreachableError):
        await listing[0]
    partial = await listing[1]
    assert (commands(partial), partial.unreachable) == ({"far": ("first",)}, ("local/scripted",))
