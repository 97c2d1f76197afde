import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from proad.errors import AlreadyExistsError
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope
from proad.store.revocations import RevocationStore
from proad.store.service_keys import ServiceKey, ServiceKeyNotFoundError, ServiceKeyStore


@pytest.fixture
def keys(database):
    return ServiceKeyStore(database)


def key(name="ci", user_id="ann", **values):
    grant = Grant(frozenset({Scope.BASIC}), Access.OWN)
    now = datetime.now(UTC)
    return ServiceKey(str(uuid4()), user_id, name, b"d" * 32, grant, now, **values)


async def test_get_returns_what_was_added(keys):
    for added in (key("a"), key("b", expire_time=datetime.now(UTC) + timedelta(days=9))):
        await keys.add(added)
        assert await keys.get(added.id) == added
    assert await keys.get(str(uuid4())) is None


async def test_add_of_a_name_that_the_user_has_raises(keys):
    await keys.add(key())
    await keys.add(key(user_id="bob"))
    with pytest.raises(AlreadyExistsError):
        await keys.add(key())


async def test_list_is_ordered_by_name(keys):
    for name in ("b", "a", "c"):
        await keys.add(key(name))
    assert [each.name for each in await keys.list()] == ["a", "b", "c"]


async def test_note_use_of_many_at_once_notes_the_minute(keys):
    added = key()
    await keys.add(added)
    await asyncio.gather(*(keys.note_use(added) for _ in range(10)))
    noted = await keys.get(added.id)
    assert datetime.now(UTC) - noted.use_time < timedelta(minutes=2)


async def test_remove_ends_the_key_and_revokes_its_tokens(keys, database):
    added, other = key(), key("other")
    await keys.add(added)
    await keys.add(other)
    until = datetime.now(UTC) + timedelta(hours=1)
    assert await keys.remove("ann", "ci", revoked_until=until) == added
    assert await keys.get(added.id) is None
    assert await RevocationStore(database).among({added.id, other.id}) == {added.id}
    with pytest.raises(ServiceKeyNotFoundError):
        await keys.remove("ann", "ci", revoked_until=until)
    with pytest.raises(ServiceKeyNotFoundError):
        await keys.remove("bob", "other", revoked_until=until)


async def test_remove_frees_the_name(keys):
    await keys.add(key())
    await keys.remove("ann", "ci", revoked_until=datetime.now(UTC))
    await keys.add(key())
