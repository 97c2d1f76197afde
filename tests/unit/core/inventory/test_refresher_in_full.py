"""Refreshes that read the FULL view as well, to compare it with the last one."""

import pytest

from proad.core.inventory import Inventory, InventoryTiming, full_reads
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import ResourceState as S
from unit.core.inventory.scripted import Gate, box, quiet, until

IDS = [str(number) for number in range(8)]


@pytest.fixture
def patience():
    return 0.05


@pytest.fixture
async def published(engine, connection, follow, patience):
    """An inventory whose FULL views have been read."""
    for id in IDS:
        engine.put(box(id, f"c{id}"))
    inventory = await follow(full_within=patience)
    for id in IDS:
        await inventory.full(connection, id)
    return inventory


@pytest.fixture
def number():
    return full_reads.HUNG


@pytest.fixture
async def hung(engine, published, number):
    """The ids of reconfigured resources whose full reads hang."""
    ids = IDS[:number]
    gate = Gate("full")

    async def before(method, id):
        if id in ids:
            await gate(method, id)

    engine.before = before
    for id in ids:
        engine.put(box(id, f"c{id}", S.PAUSED), reconfigured=True)
    await gate.reached.wait()
    return ids, gate


def state(inventory, connection, id):
    return inventory.entry(connection, id).published.state


@pytest.mark.parametrize("patience", [3600.0])
async def test_full_refresh_when_hung_delays_no_other(engine, connection, published, hung):
    _, gate = hung

    engine.put(box("7", "c7", S.STOPPED))

    await until(lambda: state(published, connection, "7") is S.STOPPED)
    assert gate.waiting


async def test_full_refresh_when_hung_applies_summary(engine, connection, published, hung):
    ids, gate = hung
    etags = {id: published.entry(connection, id).published.etag for id in ids}

    await until(lambda: all(state(published, connection, id) is S.PAUSED for id in ids))

    assert gate.waiting  # in the driver, the reads still hang
    for id in ids:  # the FULL views could not be compared
        assert published.entry(connection, id).published.etag != etags[id]


async def test_full_refresh_when_hung_waits_for_new_event(engine, connection, published, hung):
    await quiet(published)
    asked = engine.asked["full"]
    engine.put(box("9", "another"))
    await quiet(published)
    assert engine.asked["full"] == asked


async def test_full_refreshes_when_hung_are_bounded(engine, connection, published, hung):
    ids, gate = hung
    for _ in range(3):
        for id in ids:
            engine.tell(id, reconfigured=True)
        await quiet(published)

    assert gate.most <= full_reads.HUNG
    gate.open.set()
    await until(lambda: not gate.waiting)
    etag = published.entry(connection, "7").published.etag
    engine.commands["7"] = "second"
    engine.tell("7", reconfigured=True)
    await quiet(published)
    assert published.entry(connection, "7").published.etag != etag


@pytest.mark.parametrize("number", [full_reads.HUNG - 1])
async def test_full_refresh_with_others_hung_compares(engine, connection, published, hung):
    await quiet(published)
    etag = published.entry(connection, "7").published.etag
    asked = engine.asked["full"]

    for _ in range(3):
        entry = await published.refresh(connection, "7", reconfigured=True)

    assert entry.published.etag == etag
    assert engine.asked["full"] == asked + 3


async def test_full_refresh_when_hung_raises_timed_out_to_its_caller(connection, published, hung):
    etag = published.entry(connection, "0").published.etag
    with pytest.raises(EngineTimedOutError):
        await published.refresh(connection, "0", reconfigured=True)
    assert (await published.refresh(connection, "0")).published.etag != etag


async def test_full_refresh_when_failed_raises_and_changes_nothing(engine, connection, published):
    etag = published.entry(connection, "0").published.etag

    async def fail(method, id):
        if method == "full":
            raise EngineConflictError("scripted", "no")

    engine.before = fail
    with pytest.raises(EngineConflictError):
        await published.refresh(connection, "0", reconfigured=True)
    assert published.entry(connection, "0").published.etag == etag


@pytest.mark.parametrize("command", ["first", "second"])
async def test_full_refresh_with_difference_changes_etag(engine, connection, published, command):
    etag = published.entry(connection, "0").published.etag
    engine.commands["0"] = command

    entry = await published.refresh(connection, "0", reconfigured=True)

    assert (entry.published.etag == etag) == (command == "first")
    again = await published.refresh(connection, "0", reconfigured=True)
    assert again.published.etag == published.entry(connection, "0").published.etag


async def test_full_refresh_with_change_during_comparison_changes_etag(
    engine, connection, published
):
    """A caller may read the new FULL view before it is compared with the old one."""
    etag = published.entry(connection, "0").published.etag
    first = engine.after = Gate("full")
    engine.tell("0", reconfigured=True)
    await first.reached.wait()
    engine.commands["0"] = "second"
    engine.tell("0", reconfigured=True)
    engine.before = Gate("summary")
    first.open.set()
    await engine.before.reached.wait()

    await published.full(connection, "0")
    engine.before.open.set()
    await quiet(published)

    assert published.entry(connection, "0").published.etag != etag


async def test_full_refresh_of_unread_full_view_reads_summary_alone(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    etag = inventory.entry(connection, "1").published.etag

    entry = await inventory.refresh(connection, "1", reconfigured=True)

    assert (entry.published.etag, engine.asked["full"]) == (etag, 0)


async def test_full_refresh_of_removed_resource_returns_none(engine, connection, published):
    engine.take("0", tell=False)

    assert await published.refresh(connection, "0", reconfigured=True) is None


async def test_full_refresh_when_hung_ends_with_inventory(engine, connection):
    engine.put(box("0", "c0"))
    inventory = Inventory([connection], timing=InventoryTiming(full_within=0.0))
    async with inventory.following():
        await inventory.full(connection, "0")
        gate = engine.before = Gate("full")
        engine.tell("0", reconfigured=True)
        await gate.reached.wait()
        await quiet(inventory)
        assert gate.waiting

    assert not gate.waiting
