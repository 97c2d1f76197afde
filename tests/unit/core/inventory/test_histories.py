"""Whatever an engine does, and however late, often or seldom it says so: the store follows."""

import asyncio
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proad.core.inventory import Inventory, InventoryTiming, Journal, Store
from proad.core.slices import TimeSlicer
from proad.errors import ProaError
from proad.model import EngineEvent, ResourceFilter, ResourceState, Verb
from unit.core.inventory.late import Late
from unit.core.inventory.replay import Replay
from unit.core.inventory.scripted import linked
from unit.core.inventory.virtual_time import VirtualTimeLoop

IDS = st.sampled_from(["1", "1", "1", "2"])
STATES = st.sampled_from([ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED])
NAMES = st.sampled_from(["a", "b", "c"])
ANY = st.integers(0, 100)
TIMING = InventoryTiming(compare_every=1e9)  # or what is dropped would be found before it is due


class VerbUnderWay:
    """A verb of ours: begins, has its effect, reads, and ends, one step at a time."""

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
        disturbances=st.sampled_from([(), ("cut", "lose"), ("cut", "lose", "drop")]),
    )
    def begin(self, disturbances):
        self.disturbances = disturbances
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.tasks, self.verbs, self.versions, self.read_up_to = [], {}, {}, 0
        self.dropped = False
        self.runner.run(self._begin())

    async def _begin(self):
        self.engine = Late()
        self.connection = await linked(self.engine)
        self.store = Store(Journal(), asyncio.get_running_loop().time)
        # Slices without time: things happen also while a list is applied.
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
        """Do something, and let everybody react."""

        async def run():
            result = act() if act is not None else None
            for _ in range(12):
                await asyncio.sleep(0)
            return result

        return self.runner.run(run())

    def change(self, change, *, soon):
        """Change something; `soon`: its events come at once."""

        def act():
            before = len(self.engine.events)
            change()
            while soon and len(self.engine.events) > before:
                self.engine.deliver(self.engine.events.pop(before))

        self.do(act)

    @rule(id=IDS, state=STATES, name=NAMES, soon=st.booleans())
    def put(self, id, state, name, soon):
        self.change(lambda: self.engine.put(id, state, name), soon=soon)

    @rule(id=IDS, soon=st.booleans())
    def take(self, id, soon):
        self.change(lambda: self.engine.take(id), soon=soon)

    @rule(id=IDS, state=STATES, soon=st.booleans())
    def make_anew(self, id, state, soon):
        def anew():
            self.engine.take(id)
            self.engine.put(id, state, "anew")

        self.change(anew, soon=soon)

    @rule(id=IDS, command=NAMES, soon=st.booleans())
    def configure(self, id, command, soon):
        self.change(lambda: self.engine.configure(id, command), soon=soon)

    @precondition(lambda self: self.engine.events)
    @rule(which=ANY, repeat=st.sampled_from([False, False, True]))
    def deliver(self, which, repeat):
        events = self.engine.events
        event = events[which % len(events)]
        if not repeat:
            events.remove(event)
        self.do(lambda: self.engine.deliver(event))

    @rule(id=IDS)
    def deliver_for_nothing(self, id):
        self.do(lambda: self.engine.deliver(EngineEvent(id=id)))

    @precondition(lambda self: self.disturbances)
    @rule(which=ANY)
    def disturb(self, which):
        getattr(self, self.disturbances[which % len(self.disturbances)])()

    @rule(seconds=st.sampled_from([0.05, 0.5, 5.0]))
    def wait(self, seconds):
        self.runner.run(asyncio.sleep(seconds))

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

    @precondition(lambda self: self.engine.reads)
    @rule(which=ANY)
    def sample(self, which):
        self.do(self.engine.reads[which % len(self.engine.reads)].sample)

    @precondition(lambda self: self.engine.reads)
    @rule(which=ANY, fails=st.sampled_from([False, False, False, True]))
    def answer(self, which, fails):
        read = self.engine.reads[which % len(self.engine.reads)]
        self.do(read.fail if fails else read.end)

    @rule(id=IDS, in_full=st.booleans())
    def refresh(self, id, in_full):
        self.do(
            lambda: self._call(self.inventory.refresh(self.connection, id, reconfigured=in_full))
        )

    @rule(id=IDS)
    def full(self, id):
        self.do(lambda: self._call(self.inventory.full(self.connection, id)))

    @rule(id=IDS, state=st.none() | STATES)
    def begin_verb(self, id, state):
        if id not in self.verbs and self.inventory.entry(self.connection, id) is not None:
            self.verbs[id] = self.do(lambda: VerbUnderWay(self, id, state))

    @precondition(lambda self: self.verbs)
    @rule(soon=st.booleans())
    def act_verb(self, soon):
        self.change(next(iter(self.verbs.values())).act, soon=soon)

    @precondition(lambda self: self.verbs)
    @rule()
    def end_verb(self):
        self.do(lambda: self._call(self.verbs.pop(next(iter(self.verbs))).end()))

    def _call(self, call):
        async def run():
            with suppress(ProaError):  # what the engine could not read, or has no more
                await call

        self.tasks.append(asyncio.create_task(run()))

    @invariant()
    def nothing_goes_back(self):
        """No change leads from a later version of a resource to an earlier one."""
        if not hasattr(self, "store"):
            return
        journal = self.store.journal
        for entry in journal.after(self.read_up_to, 10_000):
            after = getattr(entry, "after", None)
            if after is not None:
                version = int(after.labels["version"])
                assert version >= self.versions.get(after.id, 0)
                self.versions[after.id] = version
        self.read_up_to = journal.revision

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
        """Have all that is under way come to its end; a resync finds what no event told."""
        for id in list(self.verbs):
            self._call(self.verbs.pop(id).end())
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
        assert {id: entry.observed for id, entry in known.items()} == engine.there
        assert all(entry.activity is None for entry in known.values())
        assert self.store.tombstones == 0
        for id in known:
            full = asyncio.create_task(inventory.full(connection, id))
            while not full.done():
                await self._answer_all()
            command = (engine.commands.get(id, "first"),)
            assert full.result().container.command == command
        for _ in range(12):
            await asyncio.sleep(0)
        published = list(inventory.all(connection))
        assert all(replay.agrees(published) for replay in self.replays)
        revisions = [entry.revision for entry in inventory.journal.after(0, 10_000)]
        assert revisions == list(range(1, inventory.revision + 1))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
