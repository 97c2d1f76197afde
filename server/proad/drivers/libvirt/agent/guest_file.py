"""A file inside a guest, as its agent has it open."""

from functools import partial

from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.talk import LARGEST_WRITE, Talk

ROW = 4 * LARGEST_WRITE
"""Bytes that are written while nobody else talks to the agent."""


class GuestFile:
    """A file that an agent has open.

    Args:
        agents: the guest agents.
        id: the domain.
        handle: the agent's number of the file.

    Attributes:
        is_closed: whether the agent has closed it.
    """

    def __init__(self, agents: GuestAgents, id: str, handle: int) -> None:
        self._agents = agents
        self._id = id
        self.handle = handle
        self.is_closed = False

    async def seek(self, offset: int) -> None:
        """Go to a place."""
        await self._agents.talk(self._id, lambda talk: talk.seek(self.handle, offset))

    async def read(self, most: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether these are the last."""
        return await self._agents.talk(self._id, lambda talk: talk.read(self.handle, most))

    async def write(self, data: bytes) -> None:
        """Write at the end."""
        for start in range(0, len(data), ROW):
            write = partial(Talk.write, handle=self.handle, data=data[start : start + ROW])
            await self._agents.talk(self._id, write)

    async def close(self) -> None:
        """Close it: all that was written is in the guest's file then."""

        def say(talk: Talk) -> None:
            talk.flush(self.handle)
            talk.close(self.handle)

        await self._agents.talk(self._id, say)
        self.is_closed = True
