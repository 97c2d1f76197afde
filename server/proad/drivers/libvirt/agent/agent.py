"""The guest agents of all domains."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import libvirt

from proad.drivers.libvirt.agent.talk import Talk, agent_missing
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.timing import AgentTiming
from proad.drivers.libvirt.xml.domain_view import agent_connected
from proad.drivers.tolerant import Omissions
from proad.model.verbs import entering_refusal

T = TypeVar("T")


class GuestAgents:
    """Talks to the guest agents of domains, to each one at a time.

    Args:
        connection: to libvirt.
        reader: reads the domains.
        omissions: records unreadable parts of answers.
        timing: durations.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        omissions: Omissions,
        timing: AgentTiming,
    ) -> None:
        self.timing = timing
        self._connection = connection
        self._reader = reader
        self._omissions = omissions

    async def check(self, id: str) -> None:
        """Check that a domain runs, and that its agent is connected.

        Raises:
            StateError: it does not run.
            CapabilityMissingError: no agent is connected.
        """

        def look(domain: libvirt.virDomain) -> None:
            # Makes no call to QEMU.
            if error := entering_refusal(self._reader.summary(domain)):
                raise error
            if not agent_connected(self._reader.xml_of(domain).element):
                raise agent_missing()

        await self._connection.on(id, look, bulkhead=Bulkhead.READ)

    async def talk(self, id: str, say: Callable[[Talk], T]) -> T:
        """Return the result of a few requests to the agent of a domain; see `Talk`."""
        return await self._talk(id, say, self.timing.answer, Bulkhead.AGENT)

    async def talk_aside(self, id: str, say: Callable[[Talk], T]) -> T:
        """Do as `talk`, with little patience, and beside all who are at work in guests."""
        return await self._talk(id, say, self.timing.aside, Bulkhead.ASIDE)

    async def _talk(
        self, id: str, say: Callable[[Talk], T], limit: timedelta, bulkhead: Bulkhead
    ) -> T:
        def begin(domain: libvirt.virDomain) -> T:
            return say(Talk(domain, limit, self._omissions))

        return await self._connection.on(
            id, begin, bulkhead=bulkhead, timeout=self.timing.turn, cached=True
        )
