"""What a guest has to run commands with."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.programs import GuestPrograms
from proad.drivers.libvirt.agent.scripts import PROBE
from proad.drivers.libvirt.agent.talk import AgentRefusedError, Ended, Talk
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import CapabilityMissingError

_EXECUTE = frozenset({"guest-exec", "guest-exec-status"})
_FILES = frozenset(
    {
        "guest-file-open",
        "guest-file-read",
        "guest-file-write",
        "guest-file-seek",
        "guest-file-close",
    }
)

_LARGEST_ENVIRONMENT = 64 * 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestTools:
    """What a guest has.

    Attributes:
        shell: whether there are a POSIX shell, and files that the agent reads and writes.
        setsid: how setsid is called; empty: there is none.
        environment: that of the agent; None: it is too large to be added to.
    """

    shell: bool = False
    setsid: str = ""
    environment: Mapping[str, str] | None = None

    @classmethod
    def found(cls, probe: Ended) -> "GuestTools":
        """Return what the script `PROBE` has found."""
        first, _, rest = probe.output.partition(b"\n")
        environment = None
        if len(rest) <= _LARGEST_ENVIRONMENT and not probe.truncated:
            entries = (each.partition("=") for each in rest.decode(errors="replace").split("\0"))
            environment = {name: value for name, _, value in entries if name}
        return cls(
            shell=probe.code == 0,
            setsid=first.decode(errors="replace").strip(),
            environment=environment,
        )

    def words(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return a command with what gives it a group of its own."""
        return (self.setsid, *argv) if self.setsid else argv

    def with_variables(self, env: Mapping[str, str]) -> tuple[str, ...] | None:
        """Return a whole environment with these variables; None: that of the agent will do.

        The agent replaces its environment by the one that it is given.

        Raises:
            CapabilityMissingError: that of the agent is not known.
        """
        if not env:
            return None
        if self.environment is None:
            raise CapabilityMissingError(
                "variables for commands in this guest",
                driver=ENGINE,
                hint="leave `env` out: the guest has no POSIX shell that tells the agent's own "
                "environment, or too large a one, and the agent would take that away",
            )
        return tuple(f"{name}={value}" for name, value in {**self.environment, **env}.items())


class KnownTools:
    """What guests have, as long as the same program of a guest is its agent.

    Args:
        agents: the guest agents.
        programs: begins programs in guests.
    """

    def __init__(self, agents: GuestAgents, programs: GuestPrograms) -> None:
        self._agents = agents
        self._programs = programs
        self._known: dict[str, GuestTools] = {}

    def forget(self, id: str) -> None:
        """Forget what the guest of a domain has: there may be another one."""
        self._known.pop(id, None)

    def forget_all(self) -> None:
        """Forget what all guests have."""
        self._known.clear()

    async def of(self, id: str) -> GuestTools:
        """Return what a guest has to run commands with.

        Raises:
            CapabilityMissingError: its agent runs none.
        """
        if (known := self._known.get(id)) is not None:
            return known
        has = await self._agents.talk(id, Talk.commands)
        if not has >= _EXECUTE:
            raise CapabilityMissingError(
                "commands inside a domain whose guest agent has guest-exec turned off",
                driver=ENGINE,
                hint="allow guest-exec, guest-exec-status and the guest-file commands in the "
                "agent's configuration in the guest, such as /etc/sysconfig/qemu-ga",
            )
        tools = GuestTools()
        if has >= _FILES:
            # Without a shell the agent refuses.
            with suppress(AgentRefusedError):
                tools = GuestTools.found(await self._programs.help(id, PROBE))
        self._known[id] = tools
        return tools
