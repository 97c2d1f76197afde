"""Which changes are attributed to a caller's verb, and which are external."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proad.core.actor import act_for
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.image_ledger import ImageLedger
from proad.core.local_records import LocalImageRecords, LocalVolumeOwners, NoOwners
from proad.core.provisioning import Provisioning
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.volume_owner_cache import VolumeOwnerCache
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    ProaError,
    ResourceNotFoundError,
    ResourceNotRunningError,
)
from proad.model import (
    ContainerSpec,
    CreatedContainer,
    Footprint,
    ResourceState,
    Subject,
    Verb,
    refusal,
)
from relaxed_policy import RELAXED_POLICY
from unit.core.inventory.scripted import Scripted, box, quiet, until
from unit.core.unlimited import unlimited
from unit.core.verb_caller import VerbCaller

S = ResourceState
ANN, NOBODY = ("API", "ann"), ("EXTERNAL", "")


class Slow(Scripted):
    """Has creates that wait for the test before each step."""

    def __init__(self, *resources):
        super().__init__(*resources)
        self.steps: asyncio.Queue[str] = asyncio.Queue()

    async def create_container(self, spec, *, start=False, announce, judge):
        await self.steps.get()
        await announce(Footprint(mark="nonce", create_time=datetime.now(UTC)))
        self.put(box("new", "a_name_of_dockers", S.STOPPED, creation="nonce"))
        await self.steps.get()
        self.put(replace(self.there["new"], state=S.RUNNING))
        await self.steps.get()
        return CreatedContainer(resource=self.there["new"])

    async def layer_size(self, id):
        raise AssertionError("no test of these prunes")

    async def env_secrets(self, id):
        raise AssertionError("no test of these takes secrets over")


@pytest.fixture
def engine():
    return Slow(box())


@pytest.fixture
def do(inventory, connection):
    """Run a verb on the resource for ann."""
    verbs = VerbCaller(inventory, connection)

    async def run(verb, act):
        act_for(Subject("ann"))
        resolved = ResolvedResource(connection, inventory.entry(connection, "1").published, "1")
        if verb is Verb.UPDATE:
            await verbs.do(verb, resolved, act)
        elif verb is Verb.DELETE:
            await verbs.delete(resolved, act, force=True)
        else:
            await verbs.transition(verb, resolved, act)

    def do(verb, act):
        return asyncio.create_task(run(verb, act))

    return do


def told(inventory, id="1"):
    """Return the changes of a resource without those of an activity alone."""
    published = []
    for entry in inventory.history.after(0, 10_000):
        before, after = entry.before, entry.after
        if (after or before).id != id:
            continue
        if before is None:
            what = after.state
        elif after is None:
            what = "gone"
        elif after.name != before.name:
            what = after.name
        elif after.state is not before.state:
            what = after.state
        else:
            continue
        published.append((what, (entry.cause.value, entry.actor)))
    return published


async def test_change_by_others_during_a_verb_is_attributed_to_the_verb(
    engine, inventory, connection, do
):
    asked, ends = asyncio.Event(), asyncio.Event()

    async def stop(id, on_step):
        asked.set()
        await ends.wait()
        engine.put(replace(engine.there["1"], state=S.STOPPED))
        return engine.there["1"]

    stopping = do(Verb.STOP, stop)
    await asked.wait()
    engine.put(box(name="renamed"))
    await until(lambda: inventory.entry(connection, "1").published.name == "renamed")
    engine.put(box(name="renamed", state=S.PAUSED))
    await until(lambda: inventory.entry(connection, "1").published.state is S.PAUSED)
    ends.set()
    await stopping
    await quiet(inventory)

    assert told(inventory)[1:] == [("renamed", ANN), (S.PAUSED, ANN), (S.STOPPED, ANN)]


async def test_removal_by_others_during_a_verb_is_attributed_to_the_verb(
    engine, inventory, connection, do
):
    asked, ends = asyncio.Event(), asyncio.Event()

    async def stop(id, on_step):
        asked.set()
        await ends.wait()
        return box(state=S.STOPPED)

    stopping = do(Verb.STOP, stop)
    await asked.wait()
    engine.take("1")
    await until(lambda: inventory.entry(connection, "1") is None)
    ends.set()
    await stopping

    assert told(inventory)[1:] == [("gone", ANN)]


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.PAUSE])
async def test_change_by_others_after_a_refused_verb_is_external(engine, inventory, do, verb):
    async def refuse(id, on_step):
        raise EngineConflictError("scripted", "no")

    with pytest.raises(EngineConflictError):
        await do(verb, refuse)
    engine.put(box(state=S.STOPPED))
    await quiet(inventory)

    assert told(inventory)[1:] == [(S.STOPPED, NOBODY)]


async def test_state_that_a_refusing_driver_met_is_external(engine, inventory, connection, do):

    async def refuse(id, on_step):
        engine.put(box(state=S.STOPPED), tell=False)
        refused = refusal(Verb.STOP, engine.there["1"])
        assert refused is not None
        raise refused

    with pytest.raises(ResourceNotRunningError):
        await do(Verb.STOP, refuse)

    assert told(inventory)[1:] == [(S.STOPPED, NOBODY)]
    assert inventory.entry(connection, "1").published.activity is None


async def test_removal_before_a_delete_is_external(engine, inventory, connection, do):
    async def refuse(id, on_step):
        engine.take("1", tell=False)
        raise ResourceNotFoundError("1")

    with pytest.raises(ResourceNotFoundError):
        await do(Verb.DELETE, refuse)

    assert told(inventory)[1:] == [("gone", NOBODY)]


async def test_partial_effect_of_a_refused_verb_is_attributed_to_the_verb(engine, inventory, do):
    async def half(id, on_step):
        engine.put(box(name="half"))
        raise EngineConflictError("scripted", "no such limit")

    with pytest.raises(EngineConflictError):
        await do(Verb.UPDATE, half)
    await quiet(inventory)

    assert told(inventory)[1:] == [("half", ANN)]


@pytest.mark.parametrize(
    ("verb", "before", "to", "then"),
    [
        (Verb.START, S.STOPPED, S.RUNNING, S.STOPPED),  # a workload that ends by itself
        (Verb.PAUSE, S.RUNNING, S.PAUSED, S.RUNNING),  # somebody lets it go on
    ],
)
async def test_change_right_after_a_verb_is_external(engine, inventory, do, verb, before, to, then):
    engine.put(box(state=before))
    await quiet(inventory)
    begun = len(told(inventory))

    async def act(id, on_step):
        engine.put(box(state=to))
        return engine.there["1"]

    await do(verb, act)
    engine.put(box(state=then))
    await quiet(inventory)

    assert told(inventory)[begun:] == [(to, ANN), (then, NOBODY)]


async def test_effect_of_a_verb_that_timed_out_is_external(engine, inventory, do):
    async def late(id, on_step):
        raise EngineTimedOutError("scripted")

    with pytest.raises(ProaError):
        await do(Verb.STOP, late)
    await quiet(inventory)
    engine.put(box(state=S.STOPPED))
    await quiet(inventory)

    assert told(inventory)[1:] == [(S.STOPPED, NOBODY)]


async def test_attribution_during_create_is_its_caller_until_it_ends(engine, inventory, connection):
    hosts = Hosts(["local"], [connection])
    gate = PolicyGate(RELAXED_POLICY, inventory)
    provisioning = Provisioning(
        hosts,
        Resolver(hosts, inventory),
        ShieldedTasks(),
        inventory,
        gate,
        VolumeTenancy(VolumeOwnerCache(LocalVolumeOwners()), NoOwners()),
        unlimited(inventory, gate),
        ImageLedger(LocalImageRecords()),
    )
    act_for(Subject("ann"))

    create = asyncio.create_task(
        provisioning.create_container(ContainerSpec(image="i"), start=True, host="")
    )
    engine.steps.put_nowait("there is one")
    await until(lambda: inventory.entry(connection, "new"))
    engine.steps.put_nowait("it runs")
    await until(lambda: inventory.entry(connection, "new").published.state is S.RUNNING)
    engine.steps.put_nowait("it is made")
    await create
    engine.put(replace(engine.there["new"], state=S.STOPPED))
    await quiet(inventory)

    assert told(inventory, "new") == [(S.STOPPED, ANN), (S.RUNNING, ANN), (S.STOPPED, NOBODY)]
