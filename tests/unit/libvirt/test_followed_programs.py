"""How programs in guests are looked at."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from eventually import consistently, eventually
from proad.drivers.libvirt.agent.filed_command import FiledCommand
from proad.drivers.libvirt.agent.poller import DomainPoller, Helper
from proad.drivers.libvirt.agent.talk import AgentRefusedError, Ended, GuestPausedError
from proad.drivers.libvirt.timing import AgentTiming
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import CommandExit

MS = timedelta(milliseconds=1)


class ScriptedAgents:
    """Answers each question from a guest that a test makes up."""

    def __init__(self, guest: Any) -> None:
        self.timing = AgentTiming(first_look=MS, longest_pause=64 * MS)
        self.looks: list[float] = []
        self.under_way = 0
        self._guest = guest

    async def talk(self, _id: str, say: Callable[[Any], Any]) -> Any:
        assert not self.under_way
        self.under_way += 1
        self.looks.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        self.under_way -= 1
        return say(self._guest)


class Guest:
    """One program with its files, as an agent has them."""

    def __init__(self) -> None:
        self.ended: dict[int, Ended] = {}
        self.files: dict[str, bytes] = {}
        self.errors: list[Exception] = []
        self.lost: list[Exception] = []
        self._offsets: dict[int, int] = {}
        self._names: list[str] = []

    def status(self, pid: int) -> Ended | None:
        if self.errors:
            raise self.errors.pop()
        return self.ended.pop(pid, None)

    def open(self, path: str, mode: str) -> int:
        if path not in self.files:
            raise AgentRefusedError("no such file")
        self._names.append(path)
        self._offsets[len(self._names) - 1] = 0
        return len(self._names) - 1

    def read(self, handle: int, most: int) -> tuple[bytes, bool]:
        begun = self._offsets[handle]
        data = self.files[self._names[handle]][begun : begun + most]
        self._offsets[handle] += len(data)
        if self.lost:
            raise self.lost.pop()
        return data, len(data) < most

    def seek(self, handle: int, offset: int) -> None:
        self._offsets[handle] = offset

    def close(self, handle: int) -> None:
        del self._offsets[handle]


def ended(code: int = 0) -> Ended:
    return Ended(code=code, signal=None)


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def agents(guest: Guest) -> ScriptedAgents:
    return ScriptedAgents(guest)


@pytest.fixture
def idle() -> list[bool]:
    return []


@pytest.fixture
def poller(agents: Any, idle: list[bool]) -> DomainPoller:
    return DomainPoller(agents, "id", lambda: idle.append(True))


def command(poller: DomainPoller, pid: int = 5) -> FiledCommand:
    made = FiledCommand("/f")
    made.follow(pid, None, poller.wake)
    poller.follow(made)
    return made


async def test_programs_of_a_domain_are_looked_at_less_and_less(
    poller: DomainPoller, agents: ScriptedAgents, guest: Guest, idle: list[bool]
):
    helpers = [Helper(pid) for pid in range(3)]
    for each in helpers:
        poller.follow(each)
    # Pauses of 1, 2, 4, 8, 16, 32 and then 64 ms, of all together.
    pauses = [*(2**n for n in range(6)), *[64] * 5]
    await eventually(lambda: len(agents.looks) > 3 * len(pauses))
    assert agents.looks[3 * len(pauses)] - agents.looks[0] >= sum(pauses) / 1000
    assert not idle
    for pid in range(3):
        guest.ended[pid] = ended(pid)
    assert [(await each.ended).code for each in helpers] == [0, 1, 2]
    await eventually(lambda: idle)
    looks = len(agents.looks)
    await consistently(lambda: len(agents.looks) == looks, during=0.1)


async def test_error_of_one_program_is_not_of_the_others(poller: DomainPoller, guest: Guest):
    guest.errors.append(AgentRefusedError("unknown"))
    first, second = Helper(1), Helper(2)
    poller.follow(first)
    poller.follow(second)
    with pytest.raises(EngineConflictError):
        await first.ended
    guest.ended[2] = ended()
    await second.ended


async def test_agent_that_hangs_fails_all_programs(poller: DomainPoller, guest: Guest):
    guest.errors.append(EngineTimedOutError("libvirt"))
    helpers = [Helper(1), Helper(2)]
    for each in helpers:
        poller.follow(each)
    for each in helpers:
        with pytest.raises(EngineTimedOutError):
            await each.ended


async def test_output_is_read_again_where_a_pause_may_have_lost_it(
    poller: DomainPoller, guest: Guest
):
    guest.files = {"/f/1": b"first ", "/f/2": b""}
    running = command(poller)
    await running.begun
    output = running.output()
    assert (await anext(output)).data == b"first "
    # The answer with the next bytes is lost, but the agent stands behind them.
    guest.errors = [GuestPausedError()]
    guest.lost = [GuestPausedError()]
    guest.files["/f/1"] += b"second"
    assert (await anext(output)).data == b"second"
    guest.ended[5] = ended(3)
    guest.files["/f/1"] += b" third"
    assert [piece.data async for piece in output] == [b" third"]
    assert await running.exit() == CommandExit(code=3)


async def test_end_that_comes_with_a_pause_is_kept(poller: DomainPoller, guest: Guest):
    guest.files = {"/f/1": b"", "/f/2": b""}
    running = command(poller)
    await running.begun
    guest.files["/f/2"] = b"said"
    guest.ended[5] = ended(4)
    guest.lost = [GuestPausedError()]
    assert [(piece.data, piece.is_stderr) async for piece in running.output()] == [(b"said", True)]
    assert await running.exit() == CommandExit(code=4)


async def test_output_that_nobody_reads_stays_in_the_guest(
    poller: DomainPoller, agents: ScriptedAgents, guest: Guest
):
    guest.files = {"/f/1": bytes(10_000_000), "/f/2": b""}
    running = command(poller)
    await running.begun
    for _ in range(3):
        looks = len(agents.looks)
        await eventually(partial(_more_than, agents.looks, looks))
    assert sum(len(piece.data) for piece in running._pieces) <= 192 * 2**10
    guest.ended[5] = ended()
    assert sum([len(piece.data) async for piece in running.output()]) == 10_000_000


async def test_command_that_has_lost_its_files_fails(poller: DomainPoller, guest: Guest):
    guest.ended[5] = Ended(code=1, signal=None, error=b"mkdir: no room\n")
    running = command(poller)
    with pytest.raises(EngineConflictError, match="no room"):
        await running.begun


def _more_than(items: list[float], count: int) -> bool:
    return len(items) > count
