import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from proad.store.revocations import RevocationStore
from proad.store.schema import revoked_tokens


@pytest.fixture
def revocations(database):
    return RevocationStore(database)


def after(**time):
    return datetime.now(UTC) + timedelta(**time)


async def kept(database):
    async with database.read() as connection:
        return set((await connection.execute(select(revoked_tokens.c.jti))).scalars())


async def test_among_returns_the_revoked_ids(revocations):
    await revocations.add("a", after(minutes=30))
    assert await revocations.among({"a", "A", "b"}) == {"a"}


async def test_add_twice_or_at_once_is_idempotent(revocations):
    await asyncio.gather(*(revocations.add("a", after(minutes=30)) for _ in range(10)))
    assert await revocations.among({"a"}) == {"a"}


async def test_add_removes_revocations_a_day_after_the_expiry(revocations, database):
    """The clock may be set back, and the token be good again but for this."""
    await revocations.add("old", after(hours=-24, seconds=-1))
    await revocations.add("over", after(hours=-23, minutes=-59))
    await revocations.add("just over", after(seconds=-1))
    await revocations.add("new", after(minutes=30))
    assert await kept(database) == {"over", "just over", "new"}
    assert await revocations.among({"just over"}) == {"just over"}


async def test_time_in_the_database_keeps_its_zone(revocations, database):
    time = after(minutes=1)
    await revocations.add("a", time)
    async with database.read() as connection:
        (row,) = await connection.execute(select(revoked_tokens.c.expire_time))
    assert row.expire_time == time
    assert row.expire_time.utcoffset() == timedelta()


async def test_time_without_a_zone_is_refused(revocations):
    with pytest.raises(Exception, match="time zone"):
        await revocations.add("a", datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake
