"""What a name means while it goes from one resource to another."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from proad.core import resolver as module
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.lifecycle import Lifecycle
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.verb_runner import VerbRunner
from proad.errors import AmbiguousIdError, EngineTimedOutError, ResourceNotFoundError
from proad.model import DeleteOptions, ResourceState
from unit.core.inventory.scripted import Gate, Scripted, box, linked

OLD, NEW = "1" * 64, "2" * 64


class Overtaken(Scripted):
    """Has `then` happen when the first verb arrives, which is too late for what it means."""

    then = None

    async def pause(self, id):
        then, self.then = self.then, None
        if then is not None:
            await then()
        paused = self.there[id] = replace(self.published(id), state=ResourceState.PAUSED)
        return paused

    async def delete(self, id, options):
        then, self.then = self.then, None
        if then is not None:
            await then()
        gone = self.published(id)
        del self.there[id]
        return gone


@pytest.fixture
def engine():
    return Overtaken(box(OLD, "web"))


@pytest.fixture
async def resolver(engine):
    connection = await linked(engine)
    inventory = Inventory([connection])
    async with inventory.following():
        resolver: Any = Resolver(Hosts(["local"], [connection]), inventory)
        resolver.lifecycle = Lifecycle(
            resolver, VerbRunner(resolver, inventory, ShieldedTasks()), inventory
        )
        yield resolver


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
    monkeypatch.setattr(module, "REFRESH_WITHIN", 0.05)
    engine.take(OLD, tell=False)
    engine.before = Gate(id=OLD)

    with pytest.raises(AmbiguousIdError):
        await both.find("web")


async def test_a_name_that_no_event_has_told_of_yet(engine, resolver):
    engine.put(box(NEW, "other"), tell=False)

    assert (await resolver.find("other")).resource.id == NEW
    assert (await resolver.find("local/container/other")).resource.id == NEW
    assert engine.asked["name"] == 1  # it is known from then on


@pytest.mark.parametrize("ref", ["other", "container/other", NEW])
async def test_what_the_engine_does_not_have_either(resolver, ref):
    with pytest.raises(ResourceNotFoundError):
        await resolver.find(ref)


async def test_an_engine_that_hangs_is_not_waited_for_with_a_name(engine, resolver, monkeypatch):
    monkeypatch.setattr(module, "NAME_WITHIN", 0.05)
    engine.before = Gate()

    with pytest.raises(ResourceNotFoundError):
        await resolver.find("other")


async def test_one_engine_that_hangs_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(module, "NAME_WITHIN", 0.05)
    hung, good = Scripted(), Scripted()
    connections = [await linked(hung, "a"), await linked(good, "b")]
    inventory = Inventory(connections)
    async with inventory.following():
        hung.before = Gate()
        good.put(box(NEW, "other"), tell=False)
        found = await Resolver(Hosts(["a", "b"], connections), inventory).find("other")
    assert found.connection is connections[1]


@pytest.fixture
def overtaken(engine, resolver):
    """Makes the name another's between its resolution and the verb."""

    def by(resource):
        async def then():
            engine.take(OLD, tell=False)
            engine.put(resource, tell=False)
            await resolver.find(resource.id)

        engine.then = then
        return resolver.lifecycle

    return by


async def test_a_verb_goes_to_whom_the_name_means_by_then(engine, overtaken):
    paused = await overtaken(box(NEW, "web")).pause("web")

    assert (paused.id, paused.state) == (NEW, ResourceState.PAUSED)


async def test_a_delete_goes_to_whom_the_name_means_by_then(engine, overtaken):
    assert (await overtaken(box(NEW, "web")).delete("web", DeleteOptions(force=True))).id == NEW
    assert engine.there == {}


@pytest.mark.parametrize(("ref", "name"), [(OLD, "web"), (OLD[:6], "other")], ids=str)
async def test_an_id_means_what_it_meant(engine, overtaken, ref, name):
    another = box(OLD[:6] + "2" * 58, name)

    with pytest.raises(ResourceNotFoundError):
        await overtaken(another).pause(ref)
    assert engine.there == {another.id: another}


async def test_what_is_gone_is_refused_once(engine, resolver):
    engine.take(OLD, tell=False)

    with pytest.raises(ResourceNotFoundError):
        await resolver.lifecycle.pause("web")
