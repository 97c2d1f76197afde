import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope
from proad.store.revocations import RevocationStore
from proad.store.schema import sessions as table
from proad.store.sessions import Session, SessionStore
from proad.store.users import UserStore

DAEMON = str(uuid4())


@pytest.fixture
def store(database):
    return SessionStore(database, DAEMON, most=5)


def session(**values):
    now = datetime.now(UTC)
    usual = Session(
        id=str(uuid4()),
        user_id="ann",
        token_version=7,
        grant=Grant(frozenset({Scope.BASIC, Scope.AUDIT}), Access.TEAM),
        number=0,
        create_time=now,
        use_time=now,
        expire_time=now + timedelta(hours=12),
    )
    return replace(usual, **values)


async def count(database):
    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_get_returns_what_was_added(store):
    added = session()
    await store.add(added)
    assert await store.get(added.id) == added
    assert await store.get(str(uuid4())) is None


async def test_get_of_another_daemons_session_is_none(store, database):
    added = session()
    await store.add(added)
    assert await SessionStore(database, str(uuid4())).get(added.id) is None


async def test_advance_of_many_at_once_succeeds_once(store):
    """Of all that use one refresh token at the same time, one makes the next."""
    added = session()
    await store.add(added)
    now = datetime.now(UTC)
    later = now + timedelta(hours=12)
    done = await asyncio.gather(
        *(store.advance(added, use_time=now, expire_time=later) for _ in range(20))
    )
    (changed,) = [each for each in done if each is not None]
    assert changed == replace(added, number=1, use_time=now, expire_time=later)
    assert await store.get(added.id) == changed


async def test_end_removes_the_session_and_revokes_its_tokens_once(store, database):
    added = session()
    await store.add(added)
    until = datetime.now(UTC) + timedelta(minutes=30)
    await asyncio.gather(*(store.end(added.id, revoked_until=until) for _ in range(10)))
    assert await store.get(added.id) is None
    assert await RevocationStore(database).among({added.id}) == {added.id}


async def test_end_of_what_is_no_session_revokes_nothing(store, database):
    await store.end("made up", revoked_until=datetime.now(UTC))
    assert await RevocationStore(database).among({"made up"}) == set()


async def test_advance_after_end_changes_nothing(store):
    added = session()
    await store.add(added)
    await store.end(added.id, revoked_until=datetime.now(UTC))
    now = datetime.now(UTC)
    assert await store.advance(added, use_time=now, expire_time=now) is None
    assert await store.get(added.id) is None


async def test_add_removes_sessions_that_are_over(store, database):
    past = datetime.now(UTC) - timedelta(seconds=1)
    await store.add(session(user_id="bob", expire_time=past))
    await store.add(session())
    assert await count(database) == 1


async def test_add_over_the_limit_removes_the_one_unused_for_longest(store, database):
    now = datetime.now(UTC)
    ours = [session(use_time=now + timedelta(minutes=n)) for n in range(7)]
    other = session(user_id="bob", use_time=now - timedelta(hours=1))
    for each in (other, *ours):
        await store.add(each)
    kept = [each for each in ours if await store.get(each.id)]
    assert kept == ours[2:]
    assert await store.get(other.id) == other


async def test_remove_of_a_user_removes_the_sessions(store, database):
    users = UserStore(database)
    ann = await users.add("ann", "$2b$04$" + "x" * 53, [])
    await store.add(session(user_id=ann.id))
    await store.add(session(user_id="other"))
    await users.remove("ann")
    assert await count(database) == 1
