"""Any history of requests, repetitions, failures and restarts: one effect, and one answer."""

import asyncio
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proad.core.requests import (
    JournalTiming,
    Judgement,
    NewRequest,
    RepeatedFailure,
    RequestAnswer,
    RequestJournal,
    announce,
)
from proad.core.shielded_tasks import ShieldedTasks
from proad.errors import (
    DatabaseUnreachableError,
    EngineTimedOutError,
    InvalidArgumentError,
    RequestInterruptedError,
    ResourceNotFoundError,
    StopTimedOutError,
)
from proad.model import Action, Intent, RequestState
from proad.ports.requests import RequestKey
from unit.core.inventory.virtual_time import VirtualTimeLoop
from unit.core.requests.memory_records import MemoryRecords

KEY = RequestKey("ann", str(UUID(int=1)))
FAILED = StopTimedOutError("web", timedelta(seconds=1))
TIMING = JournalTiming(first_retry=0.1, longest_retry=1, expiry_interval=3600)


class Codec:
    def failure(self, error):
        return str(error.reason).encode()

    def response(self, method, about):
        return RequestAnswer(reply=b"done", stored=b"done")


class Engine:
    """Has the effects of requests, and judges by them.

    Attributes:
        effects: how many each key has had.
        gates: of the requests that are served: what they are to do next.
        telling: whether it can be asked what became of a request.
    """

    def __init__(self):
        self.effects: Counter[RequestKey] = Counter()
        self.gates = {}
        self.telling = True

    async def serve(self, key):
        """Go on as the test says, to the end."""
        await self._told(key, "checks")
        await announce(Intent(action=Action.STOP, host="local", driver="x", path=key.user_id))
        await self._told(key, "works")
        return RequestAnswer(reply=b"done", stored=b"done")

    async def _told(self, key, where):
        self.gates[key] = where, (gate := asyncio.get_running_loop().create_future())
        try:
            error, effect = await gate
        finally:
            self.gates.pop(key, None)
        self.effects[key] += effect
        if error is not None:
            raise error

    async def judge(self, record):
        if not self.telling:
            return None
        done = self.effects[record.key]
        return Judgement(error=None if done else RequestInterruptedError("none"))


class Requests(RuleBasedStateMachine):
    """A journal, its callers, and what they have been told."""

    def __init__(self):
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.records, self.engine = MemoryRecords(), Engine()
        self.calls = []
        self.told = defaultdict(set)
        self.stack = AsyncExitStack()
        self._do(self._start())

    def _do(self, work):
        return self.loop.run_until_complete(work)

    async def _start(self):
        self.tasks = ShieldedTasks()
        self.journal = RequestJournal(self.records, self.tasks, Codec(), self.engine, timing=TIMING)
        await self.stack.enter_async_context(self.journal.opened())

    async def _settle(self):
        """Let everything go on that does not wait for the test, and hear the callers."""
        await asyncio.sleep(20)
        for call in [call for call in self.calls if call[2].done()]:
            self.calls.remove(call)
            self._hear(*call)

    def _hear(self, key, digest, task):
        if task.cancelled():
            return
        error = task.exception()
        match error:
            case None:
                self.told[key].add((digest, task.result()))
            case RepeatedFailure():
                self.told[key].add((digest, error.failure))
            case StopTimedOutError():
                self.told[key].add((digest, b"STOP_TIMED_OUT"))
            case (
                InvalidArgumentError()
                | DatabaseUnreachableError()
                | EngineTimedOutError()
                | ResourceNotFoundError()
            ):
                pass  # not the last word
            case _:
                raise error

    @rule(digest=st.sampled_from([b"1", b"1", b"2"]))
    def call(self, digest):
        async def begin():
            key = KEY
            request = NewRequest(key=key, method="/Stop", digests=[digest])
            work = self.journal.run(request, lambda _publish: self.engine.serve(key))
            self.calls.append((key, digest, asyncio.create_task(work)))
            await self._settle()

        self._do(begin())

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def caller_goes(self, data):
        *_, task = data.draw(st.sampled_from(self.calls))
        task.cancel()
        self._do(self._settle())

    @precondition(lambda self: self.engine.gates)
    @rule(
        data=st.data(),
        end=st.sampled_from(["goes on", "goes on", "fails", "times out", "timed in"]),
    )
    def served(self, data, end):
        key = data.draw(st.sampled_from(sorted(self.engine.gates)))
        where, gate = self.engine.gates[key]
        if where == "checks":
            gate.set_result((None if end == "goes on" else ResourceNotFoundError("web"), 0))
        else:
            ends = {
                "goes on": (None, 1),
                "fails": (FAILED, 0),
                "times out": (EngineTimedOutError("x"), 0),
                "timed in": (EngineTimedOutError("x"), 1),
            }
            gate.set_result(ends[end])
        self._do(self._settle())

    @rule(lost=st.sampled_from([False, False, True]))
    def database(self, lost):
        self.records.lost = lost
        self._do(self._settle())

    @rule(telling=st.sampled_from([False, True, True]))
    def telling(self, telling):
        self.engine.telling = telling
        self._do(self._settle())

    @precondition(lambda self: not self.records.lost)
    @rule(effect=st.booleans())
    def restart(self, effect):
        """The daemon dies, with or without the effect of what it was at."""
        for key, (where, _gate) in self.engine.gates.items():
            self.engine.effects[key] += effect and where == "works"

        async def again():
            for *_, task in self.calls:
                task.cancel()
            await self.tasks.close(0)
            await self.stack.aclose()
            await self._start()
            await self._settle()

        self._do(again())

    @invariant()
    def one_effect(self):
        assert all(count <= 1 for count in self.engine.effects.values())

    @invariant()
    def one_answer(self):
        for key, told in self.told.items():
            assert len(told) <= 1
            if told:
                ((_digest, answer),) = told
                assert (answer == b"done") == bool(self.engine.effects[key])

    def teardown(self):
        self.records.lost, self.engine.telling = False, True

        async def end():
            for _where, gate in list(self.engine.gates.values()):
                gate.set_result((FAILED, 0))
            await self._settle()
            for _where, gate in list(self.engine.gates.values()):
                gate.set_result((FAILED, 0))
            await self._settle()
            assert not self.calls
            kept = self.records.kept.values()
            assert all(record.state is not RequestState.RUNNING for record in kept)
            await self.stack.aclose()

        self._do(end())
        self.loop.close()


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=250, stateful_step_count=30, deadline=None)
