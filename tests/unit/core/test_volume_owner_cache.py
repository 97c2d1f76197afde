"""Owners of volumes are forgotten with the volumes, and never while somebody makes one."""

import asyncio

import pytest

from proad.core.engine_connection import EngineConnection
from proad.core.local_records import LocalVolumeOwners
from proad.core.volume_owner_cache import VolumeOwnerCache
from proad.drivers.memory import MemoryDriver
from proad.ports.records import VolumeOwner

ROW = VolumeOwner(id="data", owner="ann")


class Slow(LocalVolumeOwners):
    """Lets a test do something in the middle of a removal."""

    async def meanwhile(self) -> None:
        """Do nothing, but for a test."""

    async def remove(self, engine, ids):
        await self.meanwhile()
        await super().remove(engine, ids)


@pytest.fixture
async def connection():
    async with MemoryDriver() as driver:
        yield EngineConnection("local", driver)


@pytest.fixture
def stored():
    return Slow()


@pytest.fixture
async def cache(stored, connection):
    cache = VolumeOwnerCache(stored)
    await cache.put(connection, [ROW])
    return cache


async def forget(cache, connection, ids=("data",)):
    engine, known = await cache.load(connection)
    before = dict(known)
    return engine, before, lambda: cache.forget(engine, before, ids)


async def test_forget_removes_the_owner_from_memory_and_store(cache, connection, stored):
    engine, _, run = await forget(cache, connection)
    await run()
    assert list(cache) == []
    assert await stored.list(engine) == []


async def test_forget_spares_an_owner_that_was_put_since(cache, connection, stored):
    engine, before, run = await forget(cache, connection)
    again = VolumeOwner(id="data", owner="ann")
    await cache.put(connection, [again])
    assert again == before["data"]
    await run()
    assert list(cache) == list(await stored.list(engine)) == [again]


async def test_forget_spares_what_two_creates_keep_until_both_have_ended(cache, connection):
    with cache.keeping({"data"}):
        with cache.keeping({"data"}):
            pass
        _, _, run = await forget(cache, connection)
        await run()
        assert list(cache) == [ROW]
    await run()
    assert list(cache) == []


async def test_owner_that_is_put_during_a_removal_is_stored_after_it(cache, connection, stored):
    engine, _, run = await forget(cache, connection)
    bob = VolumeOwner(id="data", owner="bob")
    puts = []

    async def meanwhile():
        puts.append(asyncio.create_task(cache.put(connection, [bob])))
        for _ in range(10):
            await asyncio.sleep(0)

    stored.meanwhile = meanwhile
    await run()
    await puts[0]
    assert list(cache) == list(await stored.list(engine)) == [bob]
