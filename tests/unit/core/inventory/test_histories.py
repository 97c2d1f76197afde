"""Whatever happens to an engine, in whatever order one hears of it: the picture is true."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proad.core.inventory import Inventory, reflector, watch
from proad.model import Activity, ChangeType, GapKind, ResourceFilter, ResourceState, Verb
from unit.core.inventory.scripted import ENGINE, Scripted, box, linked, quiet, until
from unit.core.inventory.test_watch import NEVER

IDS = st.sampled_from(["1", "2", "3", "4"])
STATES = st.sampled_from(
    [ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED, ResourceState.FAILED]
)
NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), IDS, STATES, NAMES),
        st.tuples(st.just("take"), IDS),
        st.tuples(st.just("again"), IDS, STATES),  # gone and there again, faster than we look
        st.tuples(st.just("verb"), IDS, STATES),  # what a verb of ours does and reads
        st.tuples(st.just("silent"), IDS, STATES),  # a change that no event tells
        st.tuples(st.just("cut")),
        st.tuples(st.just("lose")),
        st.tuples(st.just("duplicate"), IDS),
        st.tuples(st.just("wait"), st.integers(0, 6)),
    ),
    max_size=40,
)
DELAYS = st.lists(st.integers(0, 5), min_size=1, max_size=20)


class History:
    """Plays steps to an engine whose answers take turns of the event loop."""

    def __init__(self, engine, connection, inventory, delays):
        self.engine, self.connection, self.inventory = engine, connection, inventory
        self._delays = delays
        self._asked = 0
        engine.before = engine.after = self._delay
        self.hidden = False

    async def _delay(self, method, id):
        self._asked += 1
        for _ in range(self._delays[self._asked % len(self._delays)]):
            await asyncio.sleep(0)

    async def play(self, steps):
        for step, *args in steps:
            await getattr(self, step)(*args)

    async def put(self, id, state, name):
        old = self.engine.there.get(id)
        made = replace(old, state=state, name=name) if old else box(id, name, state)
        self.engine.put(made)

    async def take(self, id):
        if id in self.engine.there:
            self.engine.take(id)

    async def again(self, id, state):
        await self.take(id)
        await self.put(id, state, "again")

    async def verb(self, id, state):
        entry = self.inventory.entry(self.connection, id)
        if entry is None or id not in self.engine.there or self.engine.lost:
            return
        refresher = self.inventory.refresher(self.connection)
        with refresher.holding(id):
            self.inventory.store.set_activity(entry, Activity(verb=Verb.PAUSE, actor="ann"))
            reads = entry.reads
            self.engine.put(replace(self.engine.there[id], state=state))
            observed = self.engine.there[id]
            await self._delay("", "")
            if entry.reads == reads:
                refresher.finish(entry, observed)
            else:
                await refresher.refresh(id)
            self.inventory.store.set_activity(entry, None)

    async def silent(self, id, state):
        if id in self.engine.there:
            self.engine.put(replace(self.engine.there[id], state=state), tell=False)
            self.hidden = True

    async def duplicate(self, id):
        for _ in range(3):
            self.engine.tell(id)

    async def wait(self, turns):
        for _ in range(turns):
            await asyncio.sleep(0)

    async def lose(self):
        self.engine.lost = True
        await self.connection.probe()
        await self._delay("", "")
        self.engine.lost = False
        await self.connection.probe()

    async def end(self):
        """What was hidden must be found: by the list after a loss."""
        if self.hidden:
            self.engine.break_streams()
        watched, calm = self.inventory.reflector(self.connection), 0
        while calm < 3:
            await until(lambda: watched.synced)
            await quiet(self.inventory)
            calm = calm + 1 if watched.synced else 0

    async def cut(self):
        self.engine.break_streams()


class Replay:
    """What a watcher believes."""

    def __init__(self):
        self.there = {}

    def take(self, batch):
        for _revision, event in batch.events:
            if event.gap is not None and event.gap.kind is GapKind.WATCH_RESTARTED:
                self.there.clear()
            if (change := event.change) is None:
                continue
            id, resource = change.resource.id, change.resource
            match change.type:
                case ChangeType.EXISTING | ChangeType.ADDED:
                    assert id not in self.there
                    self.there[id] = resource
                case ChangeType.MODIFIED:
                    assert self.there[id].revision < resource.revision
                    assert self.there[id].state == change.previous_state
                    self.there[id] = resource
                case ChangeType.REMOVED:
                    del self.there[id]


async def follow(inventory, connection, which, replay):
    async for batch in watch(inventory, which, [connection], heartbeat=NEVER):
        replay.take(batch)


async def run(steps, delays, limit):
    """Play the steps; give the gaps that were told."""
    engine = Scripted(box("1", "a"))
    connection = await linked(engine)
    inventory = Inventory([connection])
    replays = [
        (ResourceFilter(), Replay()),
        (ResourceFilter(states=(ResourceState.RUNNING,)), Replay()),
        (ResourceFilter(name_prefix="a"), Replay()),
    ]
    async with asyncio.timeout(limit), inventory.following():
        watchers = [
            asyncio.create_task(follow(inventory, connection, which, replay))
            for which, replay in replays
        ]
        history = History(engine, connection, inventory, delays)
        await history.play(steps)
        await history.end()

        def caught_up():
            for watcher in watchers:
                assert not watcher.done() or watcher.result() is None
            published = {resource.id: resource for resource in inventory.all(connection)}
            return all(
                replay.there == {id: r for id, r in published.items() if which.matches(r)}
                for which, replay in replays
            )

        observed = {entry.observed.id: entry.observed for entry in inventory.store.of(ENGINE)}
        assert observed == engine.there
        assert all(resource.activity is None for resource in inventory.all(connection))
        await until(caught_up, seconds=10)
        for watcher in watchers:
            watcher.cancel()
        journal = inventory.journal
        assert [e.revision for e in journal.after(0, 10_000)] == list(
            range(1, journal.revision + 1)
        )
        return [e.gap.kind for e in journal.after(0, 10_000) if hasattr(e, "gap")]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, delays=DELAYS)
def test_after_all_of_it_the_picture_is_what_the_engine_has(steps, delays):
    asyncio.run(run(steps, delays, limit=30))


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, delays=DELAYS)
def test_a_comparison_finds_what_no_event_told_of_and_nothing_else(steps, delays):
    """Whatever is under way meanwhile: looks, verbs, events that are on their way."""
    loud = [step for step in steps if step[0] not in {"silent", "cut", "lose"}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reflector, "COMPARE_EVERY", 0.0)
        patch.setattr(reflector, "EVENTS_WITHIN", 0.001)
        assert asyncio.run(run(loud, delays, limit=30)) == []
