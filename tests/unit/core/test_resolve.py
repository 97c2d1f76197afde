"""What a name means while it goes from one resource to another."""

import asyncio

import pytest

from proad.core import resolve
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.resolve import Resolver
from proad.errors import AmbiguousIdError, EngineTimedOutError, ResourceNotFoundError
from unit.core.inventory.scripted import Gate, Scripted, box, linked

OLD, NEW = "1" * 64, "2" * 64


@pytest.fixture
def engine():
    return Scripted(box(OLD, "web"))


@pytest.fixture
async def resolver(engine):
    link = await linked(engine)
    inventory = Inventory([link])
    async with inventory.following():
        yield Resolver(Hosts(["local"], [link]), inventory)


@pytest.fixture
async def both(engine, resolver):
    """Both have been seen under the name; the engine has not told yet that one is gone."""
    engine.put(box(NEW, "web"), tell=False)
    await resolver.find(NEW)
    return resolver


async def test_a_name_that_another_has_by_now(engine, both):
    engine.take(OLD, tell=False)

    assert (await both.find("web")).resource.id == NEW


async def test_the_looks_go_side_by_side(engine, both):
    engine.take(OLD, tell=False)
    engine.before = gate = Gate()
    found = asyncio.ensure_future(both.find("web"))
    async with asyncio.timeout(30):
        while gate.waiting < 2:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
    gate.open.set()

    assert (await found).resource.id == NEW


async def test_a_name_that_nobody_has_any_more(engine, both):
    engine.take(OLD, tell=False)
    engine.take(NEW, tell=False)

    with pytest.raises(ResourceNotFoundError):
        await both.find("web")


async def test_a_name_that_two_have_is_refused(both):
    with pytest.raises(AmbiguousIdError):
        await both.find("web")


async def test_what_cannot_be_looked_at_counts_as_there(engine, both):
    async def fail(method, id):
        if id == OLD:
            raise EngineTimedOutError(engine.name)

    engine.take(OLD, tell=False)
    engine.before = fail

    with pytest.raises(AmbiguousIdError):
        await both.find("web")


async def test_what_hangs_does_not_hold_up_the_answer(engine, both, monkeypatch):
    monkeypatch.setattr(resolve, "LOOK_WITHIN", 0.05)
    engine.take(OLD, tell=False)
    engine.before = Gate(id=OLD)

    with pytest.raises(AmbiguousIdError):
        await both.find("web")
