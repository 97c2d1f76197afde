"""The one task per domain that looks how the programs in it are doing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.talk import AgentGoneError, Ended, GuestPausedError, Talk
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)

# After these there is nothing to ask of the other programs, either.
_OF_ALL = (
    EngineUnreachableError,
    EngineTimedOutError,
    AgentGoneError,
    ResourceNotFoundError,
)


class Followed(Protocol):
    """A program in a guest that is looked at now and then. All but the questions is of the loop."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to ask."""

    def question(self) -> Callable[[Talk], Callable[[], bool]] | None:
        """Return what to ask; None: nothing at present.

        It is run on a thread, and returns what to do with the answer on the loop: that returns
        whether there was news.
        """

    def paused(self) -> None:
        """Note that the guest was paused, perhaps in the middle of the question."""

    def failed(self, error: Exception) -> None:
        """Note that nothing more will be asked."""


class DomainPoller:
    """Looks at the programs of one domain, one after the other.

    Pauses grow while there is no news, so that programs which run for long cost little.

    Args:
        agents: the guest agents.
        id: the domain.
        on_idle: called when nothing is followed any more.
    """

    def __init__(self, agents: GuestAgents, id: str, on_idle: Callable[[], object]) -> None:
        self._agents = agents
        self._id = id
        self._on_idle = on_idle
        self._followed: dict[Followed, None] = {}
        self._wanted = asyncio.Event()
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def follow(self, program: Followed) -> None:
        """Look at a program from now on."""
        self._followed[program] = None
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        else:
            self._wanted.set()

    def leave(self, program: Followed) -> None:
        """Look at a program no more."""
        self._followed.pop(program, None)

    async def settled(self) -> None:
        """Wait until the look under way has ended."""
        async with self._looking:
            pass

    def wake(self) -> None:
        """Look soon."""
        self._wanted.set()

    async def _run(self) -> None:
        first = self._agents.timing.first_look.total_seconds()
        longest = self._agents.timing.longest_pause.total_seconds()
        pause = first
        while self._followed:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            if self._wanted.is_set():
                self._wanted.clear()
                pause = first
            news = [await self._look(each) for each in tuple(self._followed)]
            pause = first if any(news) else min(2 * pause, longest)
        self._task = None
        self._on_idle()

    async def _look(self, program: Followed) -> bool:
        """Look at a program; return whether there was news."""
        if program.is_over:
            self.leave(program)
        if program not in self._followed or (question := program.question()) is None:
            return False
        try:
            async with self._looking:
                return (await self._agents.talk(self._id, question))()
        except GuestPausedError:
            program.paused()
        except ProaError as error:
            for each in tuple(self._followed) if isinstance(error, _OF_ALL) else (program,):
                self._fail(each, error)
        except Exception as error:  # noqa: BLE001 - raised where the program is waited for
            self._fail(program, error)
        return False

    def _fail(self, program: Followed, error: Exception) -> None:
        self.leave(program)
        program.failed(error)


class Helper:
    """A program of ours in a guest; see `Followed`.

    Args:
        pid: its process id.

    Attributes:
        ended: how it ended.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ended.done()

    def question(self) -> Callable[[Talk], Callable[[], bool]]:
        """Ask whether it has ended."""

        def ask(talk: Talk) -> Callable[[], bool]:
            status = talk.status(self._pid)
            return lambda: self._note(status)

        return ask

    def paused(self) -> None:
        """Change nothing."""

    def failed(self, error: Exception) -> None:
        """Raise where it is waited for."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def _note(self, status: Ended | None) -> bool:
        if status is not None and not self.ended.done():
            self.ended.set_result(status)
        return status is not None
