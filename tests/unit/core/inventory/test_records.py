"""What is recorded of resources: found again after a crash, and ended with the resource alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eventually import eventually
from proad.core.actor import act_for
from proad.core.inventory import ChangeHistory, Inventory, InventoryTiming, RecordCache, Store
from proad.core.inventory.timing import RecordTiming
from proad.core.local_records import LocalResourceRecords
from proad.errors import DatabaseUnreachableError, EngineTimedOutError
from proad.model import Subject
from proad.ports.records import ResourceRecord
from unit.core.inventory.scripted import Scripted, box, linked, quiet, until

IDENTITY = "scripted"
ANN = "00000000-0000-4000-8000-00000000000a"
NOW = datetime.now(UTC)
IMPATIENT = InventoryTiming(back_off=(0.01,), retry_after=0.05)


class Names:
    """Knows ann."""

    async def names(self, ids):
        return {ANN: "ann"} if ANN in ids else {}


class Rows(LocalResourceRecords):
    """Records that cannot be read or written while `lost`."""

    lost = False

    async def batches(self, engine):
        if self.lost:
            raise DatabaseUnreachableError
        async for some in super().batches(engine):
            yield some

    async def put(self, engine, record):
        if self.lost:
            raise DatabaseUnreachableError
        await super().put(engine, record)

    async def remove(self, engine, marks):
        if self.lost:
            raise DatabaseUnreachableError
        await super().remove(engine, marks)


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def cache(rows):
    return RecordCache(rows, Names(), RecordTiming(write_interval=0.01))


@pytest.fixture
def inventory(connection, cache):
    return Inventory([connection], Store(ChangeHistory(), records=cache), timing=IMPATIENT)


def planned(mark="nonce", **others):
    return ResourceRecord(mark=mark, owner=ANN, create_time=NOW, **others)


def bound(id, **others):
    return planned(id, id=id, **others)


async def stored(rows, engine=IDENTITY):
    return {record.mark: record async for some in rows.batches(engine) for record in some}


def published(inventory, connection, id="1"):
    entry = inventory.entry(connection, id)
    return entry.published


async def test_record_of_a_create_that_a_crash_interrupted_is_found_by_the_mark(
    engine, connection, rows, inventory
):
    """The daemon died after the record and before the engine's answer."""
    await rows.put(IDENTITY, planned(deletion_protection=True))
    engine.put(box(creation="nonce"))
    async with inventory.following():
        resource = published(inventory, connection)
        assert (resource.owner, resource.deletion_protection) == ("ann", True)

        async def written():
            return (await stored(rows))["nonce"].id == "1"

        await eventually(written)


async def test_record_is_of_the_first_resource_with_the_mark_alone(
    engine, connection, rows, inventory
):
    """An image that was committed from a container hands down its labels, and so the mark."""
    await rows.put(IDENTITY, planned())
    engine.put(box(creation="nonce"))
    async with inventory.following():
        engine.put(box("2", "heir", creation="nonce"))
        await quiet(inventory)
        assert published(inventory, connection).owner == "ann"
        assert published(inventory, connection, "2").owner == ""


async def test_record_of_what_went_while_nobody_listened_ends(engine, rows, inventory):
    await rows.put(IDENTITY, bound("gone"))
    await rows.put(IDENTITY, bound("1"))
    engine.put(box())
    async with inventory.following():

        async def ended():
            return "gone" not in await stored(rows)

        await eventually(ended)
        assert set(await stored(rows)) == {"1"}


async def test_record_stays_while_the_engine_does_not_answer(engine, rows, inventory):
    await rows.put(IDENTITY, bound("1"))
    engine.put(box())
    async with inventory.following():
        engine.lost = True
        engine.break_streams()
        await until(lambda: not engine.followers)
        assert set(await stored(rows)) == {"1"}
    assert set(await stored(rows)) == {"1"}


async def test_record_of_what_a_list_leaves_out_stays_until_a_read_finds_none(
    engine, connection, rows, inventory
):
    """A list has no place for what it cannot read, which is no proof that it has gone."""
    await rows.put(IDENTITY, bound("1"))
    engine.put(box())
    listed = engine.list_resources
    async with inventory.following():

        async def partial(view=None):
            return [each for each in await listed() if each.id != "1"]

        async def unreadable(method, id):
            if (method, id) == ("summary", "1"):
                raise EngineTimedOutError("scripted", "it hangs")

        engine.list_resources, engine.before = partial, unreadable
        engine.break_streams()
        await until(lambda: inventory.entry(connection, "1") is None)
        await until(lambda: engine.asked["summary"] > 0)
        del engine.list_resources
        engine.break_streams()
        await until(lambda: inventory.entry(connection, "1") is not None)
        assert published(inventory, connection).owner == "ann"
        assert set(await stored(rows)) == {"1"}


async def test_record_of_another_engine_under_the_same_address_stays(
    engine, connection, rows, inventory
):
    """A dockerd with another data root has other containers, and the first one comes back."""
    await rows.put(IDENTITY, bound("1", deletion_protection=True))
    engine.put(box())
    identity = engine.identity

    async def another():
        return "another"

    async with inventory.following():
        assert published(inventory, connection).deletion_protection
        del engine.there["1"]
        engine.put(box("2"), tell=False)
        engine.identity = another
        engine.break_streams()
        await until(lambda: inventory.entry(connection, "2") is not None)
        await quiet(inventory)
        engine.there = {"1": box()}
        engine.identity = identity
        engine.break_streams()
        await until(lambda: inventory.entry(connection, "2") is None)
        await until(lambda: inventory.entry(connection, "1") is not None)
        assert published(inventory, connection).deletion_protection
    assert set(await stored(rows)) == {"1"}


async def test_record_does_not_pass_to_the_same_id_on_another_engine(
    engine, connection, rows, inventory
):
    """Domains are copied with their UUIDs."""
    await rows.put(IDENTITY, bound("1", deletion_protection=True))
    engine.put(box())

    async def another():
        return "another"

    async with inventory.following():
        assert published(inventory, connection).deletion_protection
        engine.identity = another
        engine.break_streams()
        await until(lambda: not published(inventory, connection).deletion_protection)
    assert set(await stored(rows)) == {"1"}


async def test_remove_that_another_engine_seems_to_show_is_not_written(
    engine, connection, rows, cache, inventory
):
    """A read that reaches another engine, before its loss is noticed, finds none of them."""
    await rows.put(IDENTITY, bound("1"))
    engine.put(box())

    async def another():
        return "another"

    async with inventory.following():
        engine.identity = another
        engine.take("1")
        await until(lambda: inventory.entry(connection, "1") is None)
        await until(lambda: not cache.of(connection.ref))
        engine.put(box("2"))
        await until(lambda: inventory.entry(connection, "2") is not None)
    assert set(await stored(rows)) == {"1"}


async def test_record_of_a_create_that_nobody_saw_ends_after_a_day(engine, rows, inventory):
    old = replace(planned("old"), create_time=NOW - timedelta(hours=25))
    await rows.put(IDENTITY, old)
    await rows.put(IDENTITY, planned("young"))
    async with inventory.following():

        async def ended():
            return set(await stored(rows)) == {"young"}

        await eventually(ended)


async def test_database_away_at_the_start_keeps_the_engine_from_being_served(
    engine, connection, rows, inventory
):
    """Without its records nobody knows what is protected."""
    await rows.put(IDENTITY, bound("1", deletion_protection=True))
    engine.put(box())
    rows.lost = True
    patient = Inventory(
        [connection],
        Store(ChangeHistory(), records=RecordCache(rows, Names())),
        timing=replace(IMPATIENT, ready_within=0.05),
    )
    async with patient.following():
        assert not patient.synced(connection)
        rows.lost = False
        await until(lambda: patient.synced(connection))
        assert published(patient, connection).deletion_protection


async def test_removal_while_the_database_is_away_is_written_later(
    engine, connection, rows, inventory
):
    await rows.put(IDENTITY, bound("1"))
    engine.put(box())
    async with inventory.following():
        rows.lost = True
        engine.take("1")
        await until(lambda: inventory.entry(connection, "1") is None)
        rows.lost = False

        async def ended():
            return not await stored(rows)

        await eventually(ended)


async def test_change_of_a_record_publishes_labels_in_place_of_the_engines(
    engine, connection, rows, inventory
):
    engine.put(box(labels={"a": "1", "b": "2"}))
    async with inventory.following():
        entry = inventory.entry(connection, "1")
        before = entry.published
        async with inventory.recorder.changing(connection, entry, {"labels": {"b": "3"}}):
            pass
        assert entry.published.labels == {"b": "3"}
        assert entry.published.etag != before.etag
        assert (await inventory.full(connection, "1")).labels == {"b": "3"}
        assert (await stored(rows))["1"].labels == {"b": "3"}
        async with inventory.recorder.changing(connection, entry, {"labels": {"a": "1", "b": "2"}}):
            pass
        assert entry.published.labels == {"a": "1", "b": "2"}
        assert await stored(rows) == {}


async def test_change_of_a_record_without_the_database_changes_nothing(
    engine, connection, rows, inventory
):
    engine.put(box())
    async with inventory.following():
        entry = inventory.entry(connection, "1")
        before, rows.lost = entry.published, True
        with pytest.raises(DatabaseUnreachableError):
            async with inventory.recorder.changing(
                connection, entry, {"deletion_protection": True}
            ):
                pytest.fail("it was entered")
        assert entry.published is before


async def test_change_of_a_record_around_a_failure_is_taken_back(
    engine, connection, rows, inventory
):
    await rows.put(IDENTITY, bound("1", labels={"a": "0"}))
    engine.put(box())
    async with inventory.following():
        entry = inventory.entry(connection, "1")
        with pytest.raises(ZeroDivisionError):
            async with inventory.recorder.changing(connection, entry, {"labels": {"a": "1"}}):
                raise ZeroDivisionError
        assert entry.published.labels == {"a": "0"}
        assert (await stored(rows))["1"].labels == {"a": "0"}


async def test_record_of_what_takes_a_place_has_the_owner_and_labels_of_before(
    engine, connection, rows, inventory
):
    """Whoever recreates a container, it stays its owner's."""
    await rows.put(IDENTITY, bound("1", labels={"a": "0"}))
    engine.put(box())
    act_for(Subject("bob", "00000000-0000-4000-8000-00000000000b"))
    async with inventory.following():
        before = inventory.entry(connection, "1")
        async with inventory.recorder.creating(connection, instead_of=before) as expect:
            await expect("nonce")
            engine.put(box("2", "web", creation="nonce"))
            await quiet(inventory)
        after = published(inventory, connection, "2")
        assert (after.owner, after.labels) == ("ann", {"a": "0"})


async def test_record_of_a_create_whose_resource_has_come_and_gone_ends(
    engine, connection, rows, inventory
):
    act_for(Subject("ann", ANN))
    async with inventory.following():
        async with inventory.recorder.creating(connection) as expect:
            await expect("nonce")
            assert set(await stored(rows)) == {"nonce"}

        async def ended():
            return not await stored(rows)

        await eventually(ended)


async def test_record_outlives_a_look_at_a_clone_of_its_engine(engine, connection, rows, cache):
    """A cloned machine has an engine of the same identity, and none of its resources."""
    await rows.put(IDENTITY, bound("1", deletion_protection=True))
    engine.put(box())
    clone = Scripted()
    other = await linked(clone, "clone")
    clone.lost = True
    timing = replace(IMPATIENT, ready_within=0.05)
    both = Inventory([connection, other], Store(ChangeHistory(), records=cache), timing=timing)
    async with both.following():
        await cache.plan(connection, bound("gone"))
        clone.lost = False

        async def ended():
            return "gone" not in await stored(rows)

        await eventually(ended)
        assert set(await stored(rows)) == {"1"}
        assert published(both, connection).deletion_protection
