"""The index of the audit log, as both databases keep it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proad.model import AuditEntry, AuditFilter, AuditOutcome
from proad.store.audit import AuditEnd, AuditHead, AuditStore

DAEMON = "7d3f9a52-6a0b-4a51-8f3c-1f2f4c1f0c11"
OTHER = "0a1b9a52-6a0b-4a51-8f3c-1f2f4c1f0c12"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
PATH = "hosts/local/containers/" + "a" * 64


@pytest.fixture
def store(database):
    return AuditStore(database, DAEMON)


def entry(sequence, **fields):
    usual: dict[str, Any] = {
        "time": NOON + timedelta(seconds=sequence),
        "username": "ann",
        "user_id": "id-of-ann",
        "method_name": "/proa.v1.ResourceService/StopResource",
        "target": "web",
    }
    return AuditEntry(sequence=sequence, **usual | fields)


def end(sequence, **fields):
    usual: dict[str, Any] = {
        "path": PATH,
        "outcome": AuditOutcome.FAILED,
        "end_time": NOON + timedelta(hours=1, microseconds=1),
        "code": "ABORTED",
        "reason": "ENGINE_CONFLICT",
        "rule": "",
    }
    return AuditEnd(sequence=sequence, **usual | fields)


def head(sequence):
    return AuditHead(sequence, f"{sequence:064x}")


async def sequences(store, filter=AuditFilter(), *, most=100, **options):
    return [each.sequence for each in await store.page(filter, most=most, **options)]


async def test_head_after_save_is_the_last_one(store):
    assert await store.head() is None
    await store.save(head(3), [], [])
    await store.save(head(2**40), [], [])
    assert await store.head() == head(2**40)


async def test_page_after_save_returns_all_fields(store):
    whole = entry(
        1,
        team_id="id-of-crew",
        token_id="token",
        peer="unix:",
        path=PATH,
        snapshot="before \N{SNOWMAN}",
        request_id="request",
        correlation_id="call",
        outcome=AuditOutcome.DENIED,
        end_time=NOON + timedelta(microseconds=7),
        code="PERMISSION_DENIED",
        reason="POLICY_DENIED",
        rule="privileged",
    )
    await store.save(head(1), [whole], [])
    assert await store.page(AuditFilter(), most=10) == [whole]


async def test_save_of_an_end_completes_the_entry_of_its_number(store):
    await store.save(head(2), [entry(1), entry(2)], [])
    assert [each.sequence for each in await store.pending()] == [1, 2]
    await store.save(head(3), [], [end(2)])
    assert [each.sequence for each in await store.pending()] == [1]
    done, pending = await store.page(AuditFilter(), most=10)
    assert done == replace(
        entry(2),
        path=PATH,
        outcome=AuditOutcome.FAILED,
        end_time=NOON + timedelta(hours=1, microseconds=1),
        code="ABORTED",
        reason="ENGINE_CONFLICT",
    )
    assert pending == entry(1)


async def test_save_that_fails_stores_nothing_of_it(store):
    await store.save(head(1), [entry(1)], [])
    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.save(head(3), [entry(3), entry(1)], [end(1)])
    assert await store.head() == head(1)
    assert await store.page(AuditFilter(), most=10) == [entry(1)]


async def test_save_removes_entries_of_lines_that_are_not_kept(store):
    await store.save(head(9), [entry(number) for number in range(1, 10)], [])
    await store.save(head(10), [], [], first=8)
    assert await sequences(store) == [9, 8]


async def test_save_removes_as_fast_as_entries_come(store):
    """Each call has two lines, and in a flood there are thousands between two saves."""
    each, rounds = 3000, 5
    for done in range(rounds):
        numbers = range(2 * each * done + 1, 2 * each * (done + 1), 2)
        entries = [entry(number) for number in numbers]
        await store.save(head(numbers[-1] + 1), entries, [], first=numbers[0])
    kept = await store.page(AuditFilter(), most=rounds * each)
    assert len(kept) == each


async def test_daemons_that_share_a_database_have_logs_of_their_own(store, database):
    other = AuditStore(database, OTHER)
    await store.save(head(1), [entry(1)], [])
    await other.save(head(5), [entry(1, username="bob"), entry(5)], [end(1)], first=5)
    assert (await store.head(), await other.head()) == (head(1), head(5))
    assert await store.page(AuditFilter(), most=10) == [entry(1)]
    assert await sequences(other) == [5]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"resource": PATH}, [4, 3]),
        ({"resource": "web"}, [6, 3, 2, 1]),
        ({"resource": "we"}, []),
        ({"resource": "web%"}, []),
        ({"username": "bob"}, [5]),
        ({"username": "bob", "resource": "web"}, []),
        ({"user_id": "id-of-bob"}, [5]),
        ({"method_name": "/proa.v1.ResourceService/DeleteResource"}, [6]),
        ({"outcomes": (AuditOutcome.DENIED, AuditOutcome.SUCCEEDED)}, [4, 3]),
        ({"start_time": NOON + timedelta(seconds=5)}, [6, 5]),
        ({"end_time": NOON + timedelta(seconds=5)}, [4, 3, 2, 1]),
    ],
)
async def test_page_of_a_filter_returns_what_it_fits_the_newest_first(store, filter, found):
    await store.save(
        head(6),
        [
            entry(1),
            entry(2),
            entry(3, path=PATH, outcome=AuditOutcome.SUCCEEDED),
            entry(4, path=PATH, target="a" * 12, outcome=AuditOutcome.DENIED),
            entry(5, username="bob", user_id="id-of-bob", target="db"),
            entry(6, method_name="/proa.v1.ResourceService/DeleteResource"),
        ],
        [],
    )
    assert await sequences(store, AuditFilter(**filter)) == found


async def test_pages_of_entries_of_one_moment_have_each_entry_once(store):
    await store.save(head(7), [entry(number, time=NOON) for number in range(1, 8)], [])
    found, before = [], None
    while page := await store.page(AuditFilter(), most=2, before=before):
        found += [each.sequence for each in page]
        before = page[-1].time, page[-1].sequence
    assert found == [7, 6, 5, 4, 3, 2, 1]


async def test_page_of_some_users_has_what_they_or_their_team_did(store):
    await store.save(
        head(4),
        [
            entry(1),
            entry(2, user_id="id-of-bob", team_id="id-of-crew"),
            entry(3, user_id="id-of-eve"),
            entry(4, team_id="id-of-crew"),
        ],
        [],
    )
    users = [("user_id", "id-of-ann"), ("team_id", "id-of-crew")]
    assert await sequences(store, users=users) == [4, 2, 1]
    assert await sequences(store, users=users, most=2) == [4, 2]
    assert await sequences(store, AuditFilter(resource="web"), users=[users[0]]) == [4, 1]
