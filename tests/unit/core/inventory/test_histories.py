"""Whatever an engine does, and however late, often or seldom it says so: the store follows."""

import asyncio
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proad.core.inventory import Inventory, Journal, Store, Timing
from proad.core.slices import TimeSlicer
from proad.errors import ProaError
from proad.model import EngineEvent, ResourceFilter, ResourceState, Verb
from unit.core.inventory.late import Late
from unit.core.inventory.replay import Replay
from unit.core.inventory.scripted import linked

IDS = st.sampled_from(["1", "2", "3"])
STATES = st.sampled_from([ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED])
NAMES = st.sampled_from(["a", "b", "c"])
ANY = st.integers(0, 100)
IMPATIENT = Timing(
    compare_every=3600.0,
    back_off=(0.0,),
    settles_within=0.005,
    busy_delay=0.001,
    retry_after=0.0,
    full_within=0.005,
)


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

    @initialize()
    def begin(self):
        self.runner = asyncio.Runner()
        self.tasks, self.verbs, self.versions, self.read_up_to = [], {}, {}, 0
        self.dropped = False
        self.runner.run(self._begin())

    async def _begin(self):
        self.engine = Late()
        self.connection = await linked(self.engine)
        self.store = Store(Journal())
        # Slices without time: things happen also while a list is applied.
        self.inventory = Inventory(
            [self.connection], self.store, slicer=TimeSlicer(0.0), timing=IMPATIENT
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

    @rule(id=IDS, state=STATES, name=NAMES)
    def put(self, id, state, name):
        self.do(lambda: self.engine.put(id, state, name))

    @rule(id=IDS)
    def take(self, id):
        self.do(lambda: self.engine.take(id))

    @rule(id=IDS, state=STATES)
    def make_anew(self, id, state):
        self.do(lambda: (self.engine.take(id), self.engine.put(id, state, "anew")))

    @rule(id=IDS, command=NAMES)
    def configure(self, id, command):
        self.do(lambda: self.engine.configure(id, command))

    @rule(which=ANY)
    def deliver(self, which):
        if events := self.engine.events:
            self.do(lambda: self.engine.deliver(events.pop(which % len(events))))

    @rule(which=ANY)
    def repeat(self, which):
        if events := self.engine.events:
            self.do(lambda: self.engine.deliver(events[which % len(events)]))

    @rule(id=IDS)
    def deliver_for_nothing(self, id):
        self.do(lambda: self.engine.deliver(EngineEvent(id=id)))

    @rule(which=ANY)
    def drop(self, which):
        if events := self.engine.events:
            events.pop(which % len(events))
            self.dropped = True

    @rule()
    def cut(self):
        self.do(self.engine.cut)

    @rule()
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

    @rule(which=ANY)
    def sample(self, which):
        if reads := self.engine.reads:
            self.do(reads[which % len(reads)].sample)

    @rule(which=ANY)
    def answer(self, which):
        if reads := self.engine.reads:
            self.do(reads[which % len(reads)].end)

    @rule(which=ANY)
    def fail(self, which):
        if reads := self.engine.reads:
            self.do(reads[which % len(reads)].fail)

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

    @rule(id=IDS)
    def act_verb(self, id):
        if id in self.verbs:
            self.do(self.verbs[id].act)

    @rule(id=IDS)
    def end_verb(self, id):
        if id in self.verbs:
            self.do(lambda: self._call(self.verbs.pop(id).end()))

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
        async with asyncio.timeout(20):
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
        await asyncio.sleep(0.0002)

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
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
