"""What a guest has to run commands with."""

from collections.abc import Mapping
from dataclasses import dataclass

from proad.drivers.libvirt.agent.talk import Ended
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import CapabilityMissingError

EXECUTE = frozenset({"guest-exec", "guest-exec-status"})
FILES = frozenset(
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
