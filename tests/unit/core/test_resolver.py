"""Which resource a name means while the name passes from one resource to another."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.lifecycle import Lifecycle
from proad.core.resolver import Resolver, ResolverTiming
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.slices import TimeSlicer
from proad.core.verb_runner import VerbRunner
from proad.core.view_supplements import ViewSupplements
from proad.errors import AmbiguousIdError, EngineTimedOutError, ResourceNotFoundError
from proad.model import DeleteOptions, ResourceState
from relaxed_policy import RELAXED_POLICY
from unit.core.inventory.scripted import Gate, Scripted, box, linked
from unit.core.unlimited import unlimited

MANY = 20_000
OLD, NEW = "1" * 64, "2" * 64
IMPATIENT = ResolverTiming(refresh_within=0.05, find_name_within=0.05)


class Overtaken(Scripted):
    """Runs `then` when the first verb arrives, after the name of its resource was resolved."""

    then: Callable[[], Awaitable[None]] | None = None

    async def pause(self, id):
        then, self.then = self.then, None
        if then is not None:
            await then()
        paused = self.there[id] = replace(self.published(id), state=ResourceState.PAUSED)
        return paused

    async def delete(self, id, options, *, begin):
        await begin()
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
async def connection(engine):
    return await linked(engine)


@pytest.fixture
async def inventory(connection):
    inventory = Inventory([connection])
    async with inventory.following():
        yield inventory


@pytest.fixture
def resolver(connection, inventory):
    return Resolver(Hosts(["local"], [connection]), inventory)


@pytest.fixture
def impatient(connection, inventory):
    """Return a resolver that gives up on a hung engine at once."""
    return Resolver(Hosts(["local"], [connection]), inventory, IMPATIENT)


@pytest.fixture
def tasks():
    return ShieldedTasks()


@pytest.fixture
def lifecycle(resolver, inventory, tasks):
    gate = PolicyGate(RELAXED_POLICY, inventory)
    return Lifecycle(
        resolver,
        VerbRunner(resolver, inventory, tasks, gate),
        inventory,
        gate,
        unlimited(inventory, gate),
        ViewSupplements(TimeSlicer()),
    )


@pytest.fixture
async def both(engine, resolver):
    """Return a resolver that knows two resources of one name.

    The engine has told of no removal yet.
    """
    engine.put(box(NEW, "web"), tell=False)
    await resolver.find(NEW)
    return resolver


async def test_find_one_of_two_has_gone_returns_the_other(engine, both):
    engine.take(OLD, tell=False)

    assert (await both.find("web")).resource.id == NEW


async def test_find_two_candidates_refreshes_both_at_once(engine, both):
    engine.take(OLD, tell=False)
    engine.before = gate = Gate()
    found = asyncio.ensure_future(both.find("web"))
    async with asyncio.timeout(30):
        while gate.waiting < 2:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
    gate.open.set()

    assert (await found).resource.id == NEW


async def test_find_both_have_gone_raises_not_found(engine, both):
    engine.take(OLD, tell=False)
    engine.take(NEW, tell=False)

    with pytest.raises(ResourceNotFoundError):
        await both.find("web")


async def test_find_both_exist_raises_ambiguous_id(both):
    with pytest.raises(AmbiguousIdError):
        await both.find("web")


async def test_find_refresh_of_one_fails_raises_ambiguous_id(engine, both):
    async def fail(method, id):
        if id == OLD:
            raise EngineTimedOutError(engine.name)

    engine.take(OLD, tell=False)
    engine.before = fail

    with pytest.raises(AmbiguousIdError):
        await both.find("web")


async def test_find_refresh_of_one_hangs_raises_ambiguous_id(engine, both, impatient):
    engine.take(OLD, tell=False)
    engine.before = Gate(id=OLD)

    with pytest.raises(AmbiguousIdError):
        await impatient.find("web")


async def test_find_not_in_inventory_asks_the_engine_once(engine, resolver):
    engine.put(box(NEW, "other"), tell=False)

    assert (await resolver.find("other")).resource.id == NEW
    assert (await resolver.find("local/container/other")).resource.id == NEW
    assert engine.asked["name"] == 1  # it is known from then on


@pytest.mark.parametrize("ref", ["other", "container/other", NEW])
async def test_find_not_on_the_engine_either_raises_not_found(resolver, ref):
    with pytest.raises(ResourceNotFoundError):
        await resolver.find(ref)


async def test_find_unknown_name_engine_hangs_raises_not_found(engine, impatient):
    engine.before = Gate()

    with pytest.raises(ResourceNotFoundError):
        await impatient.find("other")


async def test_find_unknown_name_one_engine_hangs_asks_the_other():
    hung, good = Scripted(), Scripted()
    connections = [await linked(hung, "a"), await linked(good, "b")]
    inventory = Inventory(connections)
    async with inventory.following():
        hung.before = Gate()
        good.put(box(NEW, "other"), tell=False)
        found = await Resolver(Hosts(["a", "b"], connections), inventory, IMPATIENT).find("other")
    assert found.connection is connections[1]


@pytest.fixture
def overtaken(engine, resolver, lifecycle):
    """Pass the name to another resource between its resolution and the verb."""

    def by(resource):
        async def then():
            engine.take(OLD, tell=False)
            engine.put(resource, tell=False)
            await resolver.find(resource.id)

        engine.then = then
        return lifecycle

    return by


async def test_pause_name_passed_on_meanwhile_pauses_the_successor(engine, overtaken):
    paused = await overtaken(box(NEW, "web")).pause("web")

    assert (paused.id, paused.state) == (NEW, ResourceState.PAUSED)


async def test_pause_name_passed_on_after_the_caller_went_leaves_the_successor(
    engine, lifecycle, tasks
):
    begun, gone = asyncio.Event(), asyncio.Event()

    async def then():
        begun.set()
        await gone.wait()
        engine.take(OLD)
        engine.put(box(NEW, "web"))

    engine.then = then
    caller = asyncio.create_task(lifecycle.pause("web"))
    await begun.wait()
    caller.cancel()
    await asyncio.wait({caller})
    gone.set()
    await tasks.close(30)

    assert engine.there == {NEW: box(NEW, "web")}


async def test_delete_name_passed_on_meanwhile_deletes_the_successor(engine, overtaken):
    assert (await overtaken(box(NEW, "web")).delete("web", DeleteOptions(force=True))).id == NEW
    assert engine.there == {}


@pytest.mark.parametrize(("ref", "name"), [(OLD, "web"), (OLD[:6], "other")], ids=str)
async def test_pause_by_id_resource_gone_raises_not_found(engine, overtaken, ref, name):
    another = box(OLD[:6] + "2" * 58, name)

    with pytest.raises(ResourceNotFoundError):
        await overtaken(another).pause(ref)
    assert engine.there == {another.id: another}


async def test_pause_resource_gone_raises_not_found(engine, lifecycle):
    engine.take(OLD, tell=False)

    with pytest.raises(ResourceNotFoundError):
        await lifecycle.pause("web")


async def test_find_prefix_of_twenty_thousand_ids_takes_little_of_the_loop(engine, connection):
    engine.there |= {
        id: box(id, f"w{id[-4:]}") for id in (f"{'a' * 60}{n:04x}" for n in range(MANY))
    }
    taken = []
    inventory = Inventory([connection])
    async with inventory.following():
        resolver = Resolver(Hosts(["local"], [connection]), inventory)
        for _ in range(5):  # a busy machine makes single tries slow
            began = time.thread_time()
            with pytest.raises(AmbiguousIdError) as caught:
                await resolver.find("aaaa")
            taken.append(time.thread_time() - began)
    shown = len(caught.value.metadata["candidates"].split(","))
    assert f"or {MANY - shown} more" in caught.value.message
    assert min(taken) < 0.010
