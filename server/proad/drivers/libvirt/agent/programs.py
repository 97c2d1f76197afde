"""Programs that are begun in guests and followed to their ends."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from proad.drivers.libvirt.agent import scripts
from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.poller import DomainPoller, Followed, Helper
from proad.drivers.libvirt.agent.talk import Ended, Talk
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import EngineTimedOutError

T = TypeVar("T")


class GuestPrograms:
    """Begins programs in guests.

    Args:
        agents: the guest agents.
    """

    def __init__(self, agents: GuestAgents) -> None:
        self._agents = agents
        self._pollers: dict[str, DomainPoller] = {}

    def follow(self, id: str, program: Followed) -> None:
        """Look at a program in a domain from now on."""
        if (poller := self._pollers.get(id)) is None:
            poller = DomainPoller(self._agents, id, partial(self._pollers.pop, id, None))
            self._pollers[id] = poller
        poller.follow(program)

    def wake(self, id: str) -> None:
        """Look at the programs in a domain soon."""
        if (poller := self._pollers.get(id)) is not None:
            poller.wake()

    async def leave(self, id: str, program: Followed) -> None:
        """Look at a program no more, and wait until the look under way has ended."""
        if (poller := self._pollers.get(id)) is not None:
            poller.leave(program)
            await poller.settled()

    async def execute(
        self,
        id: str,
        path: str,
        args: Sequence[str],
        *,
        env: Sequence[str] | None = None,
        input: bytes | None = None,
        capture: bool = True,
    ) -> int:
        """Begin a program, and return its process id; see `Talk.execute`."""

        def say(talk: Talk) -> int:
            return talk.execute(path, args, env=env, input=input, capture=capture)

        return await self._agents.talk(id, say)

    async def help(
        self, id: str, script: str, *args: str, env: Sequence[str] | None = None
    ) -> Ended:
        """Return how a script of ours ended."""
        pid = await self.execute(id, scripts.SHELL, ["-c", script, "sh", *args], env=env)
        return await self.end_of(id, pid)

    async def end_of(self, id: str, pid: int) -> Ended:
        """Return how a program ended, which must do so soon."""
        helper = Helper(pid)
        self.follow(id, helper)
        return await self.in_time("a program in the guest", helper.ended)

    async def in_time(self, what: str, future: asyncio.Future[T]) -> T:
        """Return the result of a future, which must come soon.

        Raises:
            EngineTimedOutError: it does not.
        """
        try:
            async with asyncio.timeout(self._agents.timing.program.total_seconds()):
                return await future
        except TimeoutError:
            raise EngineTimedOutError(ENGINE, what) from None
