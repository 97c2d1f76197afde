"""What guests say of themselves, by their agents."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.talk import (
    AgentGoneError,
    AgentRefusedError,
    GuestPausedError,
    Talk,
)
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import GuestInfo

_QUESTIONS: dict[str, Callable[[Talk], Any]] = {
    "hostname": Talk.hostname,
    "operating_system": Talk.operating_system,
    "interfaces": Talk.interfaces,
    "users": Talk.users,
}


class DomainGuests:
    """Asks guest agents about their guests.

    Args:
        agents: the guest agents.
    """

    def __init__(self, agents: GuestAgents) -> None:
        self._agents = agents

    async def ask(self, id: str) -> GuestInfo:
        """Return what the agent of a domain says; see `ports.Guests`."""
        await self._agents.check(id)
        return await self._agents.talk_aside(id, self._info)

    def _info(self, talk: Talk) -> GuestInfo:
        """Ask all questions in a row, on a thread; leave off with an agent that is silent or slow."""
        told: dict[str, Any] = {}
        answered, begun = True, time.monotonic()
        for field, question in _QUESTIONS.items():
            if time.monotonic() - begun > self._agents.timing.aside.total_seconds():
                answered = False
                break
            try:
                told[field] = question(talk)
            except AgentRefusedError:
                continue  # it has no such command, or may not use it
            except (GuestPausedError, AgentGoneError):
                raise  # nobody was asked
            except EngineTimedOutError:
                answered = False
                break
            except EngineConflictError:
                answered = False
        info = GuestInfo(**told, agent_answered=answered, observe_time=datetime.now(UTC))
        return replace(info, user_count=len(info.users) if "users" in told else None)
