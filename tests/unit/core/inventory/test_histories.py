"""The store follows an engine that delays, drops, repeats and reorders events."""

import asyncio
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proad.core.inventory import ChangeHistory, Inventory, InventoryTiming, Store
from proad.core.slices import TimeSlicer
from proad.errors import ProaError
from proad.model import ResourceFilter, ResourceState, Verb
from resource_details import container_of
from unit.core.inventory.reordering_engine import ReorderingEngine
from unit.core.inventory.replay import Replay
from unit.core.inventory.scripted import linked
from unit.core.inventory.virtual_time import VirtualTimeLoop

IDS = st.sampled_from(["1", "1", "1", "2"])
STATES = st.sampled_from([ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED])
NAMES = st.sampled_from(["a", "b", "c"])
ANY = st.integers(0, 100)
TIMING = InventoryTiming(compare_every=1e9)  # or a comparison would find dropped events early


class VerbUnderWay:
    """An own verb that begins, takes effect, reads and ends, one step at a time."""

    def __init__(self, machine, id, state):
        self.machine, self.id, self.state = machine, id, state
        self.entry = machine.inventory.entry(machine.connection, id)
        self.begun = machine.inventory.begin()
        self.observed = None
        self.activity = machine.inventory.activity(self.entry, Verb.PAUSE)
        self.activity.__enter__()

    def act(self):
        """Change the resource, and read it as a driver does at the end of a verb."""
        engine, before = self.machine.engine, self.machine.engine.there.get(self.id)
        if before is None:
            return
        if self.state is None:
            engine.take(self.id)
        else:
            engine.put(self.id, self.state, before.name)
        self.observed = engine.there.get(self.id, before)

    async def end(self):
        """Apply the result, or refresh after a failure."""
        inventory, connection = self.machine.inventory, self.machine.connection
        try:
            if self.observed is None:
                inventory.mark_dirty(connection, self.id)
            elif inventory.entry(connection, self.id) is not self.entry:
                pass
            elif self.state is None:
                inventory.remove(connection, self.id)
            else:
                await inventory.finish(connection, self.entry, self.observed, self.begun)
        finally:
            self.activity.__exit__(None, None, None)


class Histories(RuleBasedStateMachine):
    """An engine that delays, drops, repeats and reorders events, and answers out of order."""

    @initialize(
        disturbances=st.sampled_from(
            [(), ("wait", "cut", "lose"), ("wait", "cut", "lose", "drop")]
        ),
    )
    def begin(self, disturbances):
        self.disturbances = disturbances
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.tasks, self.verbs, self.versions, self.read_up_to = [], {}, {}, 0
        self.dropped = False
        self.runner.run(self._begin())

    async def _begin(self):
        self.engine = ReorderingEngine()
        self.connection = await linked(self.engine)
        self.store = Store(ChangeHistory(), asyncio.get_running_loop().time)
        # Slices of zero length, so that other steps run while a list is applied.
        self.inventory = Inventory(
            [self.connection], self.store, slicer=TimeSlicer(0.0), timing=TIMING
        )
        self.following = self.inventory.following()
        following = asyncio.create_task(self.following.__aenter__())
        while not following.done():
            await self._answer_all()
        self.replays = [
            Replay(ResourceFilter()),
            Replay(ResourceFilter(states=(ResourceState.RUNNING,))),
            Replay(ResourceFilter(name_prefix="a")),
        ]
        self.watchers = [
            asyncio.create_task(replay.follow(self.inventory, self.connection))
            for replay in self.replays
        ]

    def do(self, act=None):
        """Do a step, and let the inventory react."""

        async def run():
            result = act() if act is not None else None
            for _ in range(12):
                await asyncio.sleep(0)
            return result

        return self.runner.run(run())

    def act(self, act, *, soon):
        """Change something in the engine; `soon`: its events come at once."""

        def change():
            before = len(self.engine.events)
            act()
            while soon and len(self.engine.events) > before:
                self.engine.deliver(self.engine.events.pop(before))

        self.do(change)

    @rule(
        what=st.sampled_from(["put", "put", "take", "make_anew", "configure"]),
        id=IDS,
        state=STATES,
        name=NAMES,
        soon=st.booleans(),
    )
    def change(self, what, id, state, name, soon):
        self.act(lambda: getattr(self, what)(id, state, name), soon=soon)

    def put(self, id, state, name):
        self.engine.put(id, state, name)

    def take(self, id, _state, _name):
        self.engine.take(id)

    def make_anew(self, id, state, name):
        self.engine.take(id)
        self.engine.put(id, state, name)

    def configure(self, id, _state, name):
        self.engine.configure(id, name)

    @precondition(lambda self: self.engine.events)
    @rule(which=ANY, repeat=st.sampled_from([False, False, True]))
    def deliver(self, which, repeat):
        events = self.engine.events
        event = events[which % len(events)]
        if not repeat:
            events.remove(event)
        self.do(lambda: self.engine.deliver(event))

    @precondition(lambda self: self.engine.reads)
    @rule(which=ANY, fails=st.sampled_from([False, False, False, True]))
    def answer(self, which, fails):
        """Answer a read with the state that the engine has read by then."""
        read = self.engine.reads[which % len(self.engine.reads)]
        self.do(read.fail if fails else read.end)

    @rule(at_once=st.booleans())
    def look(self, at_once):
        """Choose whether the engine reads at once or with the answer, now and from now on."""
        self.engine.looks_at_once = at_once
        for read in self.engine.reads:
            read.sample()

    @rule(id=IDS, what=st.sampled_from(["summary", "comparison", "full view"]))
    def ask(self, id, what):
        inventory, connection = self.inventory, self.connection
        if what == "full view":
            self.do(lambda: self._call(inventory.full(connection, id)))
        else:
            in_full = what == "comparison"
            self.do(lambda: self._call(inventory.refresh(connection, id, reconfigured=in_full)))

    @rule(id=IDS, state=st.none() | STATES, soon=st.booleans())
    def verb(self, id, state, soon):
        """Begin a verb on a resource, or end the one under way."""
        if id in self.verbs:
            self.do(lambda: self._call(self.verbs.pop(id).end()))
        elif self.inventory.entry(self.connection, id) is not None:
            self.verbs[id] = self.do(lambda: VerbUnderWay(self, id, state))
            self.act(self.verbs[id].act, soon=soon)

    @precondition(lambda self: self.disturbances)
    @rule(which=ANY)
    def disturb(self, which):
        getattr(self, self.disturbances[which % len(self.disturbances)])()

    def wait(self):
        self.runner.run(asyncio.sleep(0.5))

    def drop(self):
        if self.engine.events:
            self.engine.events.pop(0)
            self.dropped = True

    def cut(self):
        self.do(self.engine.cut)

    def lose(self):
        async def lose():
            self.engine.lost = True
            await self.connection.probe()
            for _ in range(12):
                await asyncio.sleep(0)
            self.engine.lost = False
            self.engine.events.clear()
            await self.connection.probe()

        self.runner.run(lose())
        self.do()

    def _call(self, call):
        async def run():
            with suppress(ProaError):  # the engine failed to read it, or it is gone
                await call

        self.tasks.append(asyncio.create_task(run()))

    @invariant()
    def nothing_goes_back(self):
        """Check that no change leads from a later version of a resource to an earlier one."""
        if not hasattr(self, "store"):
            return
        history = self.store.history
        for entry in history.after(self.read_up_to, 10_000):
            after = getattr(entry, "after", None)
            if after is not None:
                version = int(after.labels["version"])
                assert version >= self.versions.get(after.id, 0)
                self.versions[after.id] = version
        self.read_up_to = history.revision

    def teardown(self):
        if hasattr(self, "runner"):
            try:
                self.runner.run(self._end())
            finally:
                self.runner.close()

    async def _end(self):
        async with asyncio.timeout(3600):
            try:
                await self._settle()
                await self._compare()
            finally:
                for watcher in self.watchers:
                    watcher.cancel()
                await self.following.__aexit__(None, None, None)

    async def _settle(self):
        """Let everything under way end; a resynchronisation finds what had no event."""
        for id in list(self.verbs):
            self._call(self.verbs.pop(id).end())
        await self._quiet()
        await asyncio.sleep(2 * TIMING.retry_after)  # errors of failed reads
        await self._quiet()
        if self.dropped:
            self.engine.cut()
            await self._answer_all()
            await self._quiet()

    async def _quiet(self):
        idle = asyncio.create_task(self.inventory.idle())
        while (
            self.engine.events
            or self.engine.reads
            or not self.inventory.synced(self.connection)
            or not idle.done()
            or not all(task.done() for task in self.tasks)
        ):
            while self.engine.events:
                self.engine.deliver(self.engine.events.pop())
            await self._answer_all()
            if idle.done():
                idle = asyncio.create_task(self.inventory.idle())
                await asyncio.sleep(0)
        for task in self.tasks:
            task.result()

    async def _answer_all(self):
        for _ in range(12):
            for read in list(self.engine.reads):
                read.end()
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)

    async def _compare(self):
        inventory, connection, engine = self.inventory, self.connection, self.engine
        known = {r.id: inventory.entry(connection, r.id) for r in inventory.all(connection)}
        assert {id: entry and entry.observed for id, entry in known.items()} == engine.there
        assert all(entry and entry.activity is None for entry in known.values())
        assert self.store.tombstones == 0
        for id in known:
            full = asyncio.create_task(inventory.full(connection, id))
            while not full.done():
                await self._answer_all()
            command = (engine.commands.get(id, "first"),)
            assert container_of(full.result()).command == command
        for _ in range(12):
            await asyncio.sleep(0)
        published = list(inventory.all(connection))
        assert all(replay.agrees(published) for replay in self.replays)
        revisions = [entry.revision for entry in inventory.history.after(0, 10_000)]
        assert revisions == list(range(1, inventory.revision + 1))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
