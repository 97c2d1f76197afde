from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proad.core.local_records import LocalResourceRecords
from proad.ports.records import ResourceRecord
from proad.store.database import Database
from proad.store.resources import ResourceStore

HERE = "5b5e8a8e-0000-4000-8000-000000000001"
THERE = "5b5e8a8e-0000-4000-8000-000000000002"
PLANNED = ResourceRecord(
    mark="f" * 32,
    owner="22222222-2222-2222-2222-222222222222",
    create_time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
)
BOUND = replace(PLANNED, id="a" * 64, deletion_protection=True, labels={"a b/ö": "", "": "☃"})
OTHER = replace(BOUND, mark="33333333-3333-3333-3333-333333333333", owner="", labels=None)


@pytest.fixture(params=["store", "memory"])
def records(request, database):
    return ResourceStore(database, HERE) if request.param == "store" else LocalResourceRecords()


async def read(records, engine):
    return {each.mark: each async for some in records.batches(engine) for each in some}


async def test_batches_after_put_have_the_record(records):
    await records.put("engine", PLANNED)
    assert await read(records, "engine") == {PLANNED.mark: PLANNED}


async def test_put_again_replaces_the_record_of_the_mark(records):
    for record in (PLANNED, OTHER, BOUND):
        await records.put("engine", record)
    assert await read(records, "engine") == {BOUND.mark: BOUND, OTHER.mark: OTHER}


async def test_put_of_no_labels_differs_from_none(records):
    await records.put("engine", replace(BOUND, labels={}))
    await records.put("engine", OTHER)
    found = await read(records, "engine")
    assert found[BOUND.mark].labels == {}
    assert found[OTHER.mark].labels is None


async def test_put_of_the_longest_labels_gives_them_back(records):
    labels = {f"{number}" * 1024: "ä" * 65536 for number in range(3)}
    await records.put("engine", replace(BOUND, labels=labels))
    assert (await read(records, "engine"))[BOUND.mark].labels == labels


async def test_records_of_another_engine_are_left_alone(records):
    await records.put("engine", BOUND)
    await records.put("another", PLANNED)
    await records.remove("another", [BOUND.mark, "unknown"])
    assert await read(records, "engine") == {BOUND.mark: BOUND}
    assert await read(records, "another") == {}


async def test_remove_of_more_than_one_statement_takes_removes_all(records):
    some = [replace(BOUND, mark=str(number)) for number in range(20)]
    for record in some:
        await records.put("engine", record)
    await records.remove("engine", [str(number) for number in range(1, 3000)])
    assert set(await read(records, "engine")) == {"0"}


async def test_daemons_that_share_a_database_see_no_rows_of_each_other(url):
    """Copies of a virtual machine have engines of one identity."""
    async with Database.open(url) as one, Database.open(url) as two:
        here, there = ResourceStore(one, HERE), ResourceStore(two, THERE)
        await here.put("engine", BOUND)
        await there.put("engine", replace(BOUND, owner=""))
        await there.remove("engine", [BOUND.mark])
        assert await read(here, "engine") == {BOUND.mark: BOUND}
        assert await read(there, "engine") == {}
