import asyncio
import sqlite3
import tracemalloc
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from proad.errors import DatabaseUnreachableError
from proad.model import Action, Footprint, Intent, RequestState, ResourceState
from proad.ports.requests import RequestKey, RequestRecord
from proad.store import sqlite
from proad.store.database import Database
from proad.store.requests import RequestStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
KEY = RequestKey("user-1", "11111111-1111-4111-8111-111111111111")
OPEN = RequestRecord(
    key=KEY,
    method="/proa.v1.ResourceService/StopResource",
    digest=bytes(range(32)),
    path="local/container/1",
    start_time=NOW,
    intent=Intent(
        action=Action.STOP,
        host="local",
        driver="docker",
        id="1",
        path="local/container/1",
        wanted=ResourceState.STOPPED,
    ),
)
ENDED = replace(
    OPEN, state=RequestState.SUCCEEDED, end_time=NOW + timedelta(seconds=1), answer=b"\x00\xff"
)


@pytest.fixture
def store(database):
    return RequestStore(database, "daemon-1")


def numbered(number, **others):
    key = RequestKey("user-1", str(number))
    return replace(OPEN, key=key, start_time=NOW + timedelta(seconds=number), **others)


def listed(record):
    """Return a record as a list has it."""
    shown = record.answer if record.state is RequestState.FAILED else b""
    return replace(record, intent=None, answer=shown)


async def test_get_after_add_returns_the_record(store):
    await store.add(OPEN)

    assert await store.get(KEY) == OPEN
    assert await store.running() == [OPEN]
    assert await store.ends() == {KEY: None}


async def test_settle_keeps_the_answer(store):
    await store.add(OPEN)
    await store.settle(ENDED)

    assert await store.get(KEY) == ENDED
    assert await store.running() == []
    assert await store.ends() == {KEY: ENDED.end_time}


async def test_add_again_replaces_the_record(store):
    await store.add(ENDED)
    await store.add(replace(OPEN, digest=b"other", intent=None))

    assert await store.get(KEY) == replace(OPEN, digest=b"other", intent=None)


async def test_record_whose_commit_is_refused_stops_no_later_one(store):
    await store.add(OPEN)
    await store.add(OPEN)  # refused at first, for its key
    await store.settle(ENDED)
    await store.add(numbered(2))

    assert await store.get(KEY) == ENDED
    assert await store.running() == [numbered(2)]


async def test_commit_whose_caller_has_left_stops_no_later_one(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path}/left.db") as database:
        store = RequestStore(database, "daemon-1")
        leaving = asyncio.create_task(store.add(OPEN))
        await asyncio.sleep(0)  # it has begun
        leaving.cancel()
        await asyncio.wait({leaving})
        await store.add(numbered(2))

        assert await store.running() == [OPEN, numbered(2)]


async def test_commit_after_the_close_is_an_error_and_does_not_wait(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path}/closed.db") as database:
        store = RequestStore(database, "daemon-1")
    with pytest.raises(RuntimeError, match="closed"):
        await asyncio.wait_for(store.add(OPEN), 60)


async def test_record_that_a_lock_keeps_out_is_told_so_and_stops_no_later_one(tmp_path):
    path = tmp_path / "locked.db"
    async with Database.open(f"sqlite:///{path}") as database:
        store = RequestStore(database, "daemon-1")
        await store.add(OPEN)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnreachableError):
                await store.settle(ENDED)
            other.execute("ROLLBACK")
        await store.settle(ENDED)

        assert await store.get(KEY) == ENDED


async def test_records_that_a_lock_keeps_out_wait_for_it_together(tmp_path, monkeypatch):
    """Else the last of many would be told after minutes, and the end of the daemon would wait for it."""
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 1)
    path = tmp_path / "locked.db"
    loop = asyncio.get_running_loop()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        async with Database.open(f"sqlite:///{path}") as database:
            store = RequestStore(database, "daemon-1")
            await store.add(OPEN)
            other.execute("BEGIN IMMEDIATE")
            begun = loop.time()
            adding = [store.add(numbered(number)) for number in range(60)]
            told = await asyncio.gather(*adding, return_exceptions=True)
            assert {type(each) for each in told} == {DatabaseUnreachableError}
            leaving = [asyncio.create_task(store.add(numbered(number))) for number in range(60)]
            await asyncio.sleep(0)  # they have begun
            for each in leaving:
                each.cancel()
        assert loop.time() - begun < 60
        other.execute("ROLLBACK")
    async with Database.open(f"sqlite:///{path}") as database:
        assert await RequestStore(database, "daemon-1").running() == [OPEN]


async def test_records_of_another_user_or_daemon_are_not_touched(store, database):
    """Two daemons may share a database, and users their ids."""
    theirs = replace(ENDED, key=RequestKey("user-2", KEY.id))
    other = RequestStore(database, "daemon-2")
    await store.add(OPEN)
    await store.add(theirs)
    assert (await other.ends(), await other.running(), await other.get(KEY)) == ({}, [], None)

    await other.add(replace(ENDED, digest=b"other"))
    await other.settle(replace(ENDED, answer=b"other"))
    assert await other.expire(NOW + timedelta(days=1), 10) == [KEY]

    assert (await store.get(KEY), await store.get(theirs.key)) == (OPEN, theirs)


async def test_page_returns_the_newest_first(store):
    records = [numbered(number) for number in range(5)]
    await store.settle(records[0])
    for record in records:
        await store.add(record)
    ended = replace(records[2], state=RequestState.FAILED, end_time=NOW, answer=b"why")
    await store.settle(ended)

    first = await store.page("user-1", most=2)
    assert first == [listed(records[4]), listed(records[3])]
    rest = await store.page("user-1", before=(first[1].start_time, first[1].key.id), most=9)
    assert rest == [listed(ended), listed(records[1]), listed(records[0])]
    assert await store.page("user-1", states=[RequestState.FAILED], most=9) == [listed(ended)]
    assert await store.page("user-2", most=9) == []


async def test_page_of_one_start_time_is_ordered_by_id(store):
    same = [replace(listed(OPEN), key=RequestKey("user-1", id)) for id in "abc"]
    for record in same:
        await store.add(record)

    assert await store.page("user-1", most=9) == same[::-1]
    assert await store.page("user-1", before=(NOW, "b"), most=9) == same[:1]


async def test_expire_removes_some_of_the_ended(store):
    await store.add(OPEN)
    for number in range(5):
        await store.add(numbered(number, end_time=NOW + timedelta(seconds=number)))

    some = await store.expire(NOW + timedelta(seconds=3), 2)
    rest = await store.expire(NOW + timedelta(seconds=3), 2)

    assert (len(some), len(rest)) == (2, 1)
    assert {key.id for key in some + rest} == {"0", "1", "2"}
    assert set(await store.ends()) == {KEY, RequestKey("user-1", "3"), RequestKey("user-1", "4")}


async def test_page_reads_no_answer_that_a_list_does_not_show(store):
    """Else a thousand records of large resources would be hundreds of megabytes."""
    for number in range(20):
        await store.add(numbered(number))
        await store.settle(numbered(number, **settled(RequestState.SUCCEEDED, bytes(2**20))))
    await store.add(numbered(20))
    await store.settle(numbered(20, **settled(RequestState.FAILED, b"why")))

    tracemalloc.start()
    try:
        page = await store.page("user-1", most=100)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [len(each.answer) for each in page] == [3] + 20 * [0]
    assert peak < 5 * 2**20


async def test_failed_creates_are_those_with_a_footprint(store):
    assert OPEN.intent is not None
    create = replace(OPEN.intent, footprint=Footprint(mark="nonce", create_time=NOW))
    failed = settled(RequestState.FAILED, b"why")
    for number, (intent, end) in enumerate(
        [
            (create, failed),
            (OPEN.intent, failed),
            (None, failed),
            (create, settled(RequestState.SUCCEEDED, b"")),
            (create, {}),
        ]
    ):
        await store.add(replace(numbered(number, **end), intent=intent))

    found = await store.failed_creates(NOW)

    assert found == [(create, failed["end_time"])]
    assert await store.failed_creates(NOW + timedelta(hours=1)) == []


def settled(state, answer):
    return {"state": state, "end_time": NOW + timedelta(seconds=1), "answer": answer}


async def test_page_of_a_sight_has_what_was_made_with_it_alone(store):
    await store.add(numbered(1))
    await store.add(numbered(2, sight="0123456789abcdef"))
    await store.add(numbered(3, sight="fedcba9876543210"))

    page = await store.page("user-1", sight="0123456789abcdef", most=9)

    assert page == [listed(numbered(2, sight="0123456789abcdef"))]
    assert len(await store.page("user-1", most=9)) == 3
