"""What Docker's events say about containers."""

from dataclasses import dataclass

from proad.drivers.docker.reader import FULL_ID
from proad.drivers.tolerant import Value
from proad.model import EngineEvent

# Events that change nothing that we show.
_SILENT = frozenset(
    {
        "archive-path",
        "attach",
        "checkpoint",
        "commit",
        "copy",
        "detach",
        "exec_create",
        "exec_detach",
        "exec_die",
        "exec_start",
        "export",
        "extract-to-dir",
        "kill",  # the sending of a signal; what comes of it is told, too
        "resize",
        "top",
    }
)
# Changes that a SUMMARY may not show.
_RECONFIGURED = frozenset({"health_status", "oom", "restart", "update"})
_STATE_ONLY = frozenset({"pause", "unpause"})
# Docker sends these during the change: its list shows the change some time later.
_EARLY = frozenset({"connect", "die", "disconnect", "oom", "pause", "rename", "unpause"})


@dataclass(frozen=True, slots=True)
class DockerEvent:
    """An event, and what is known of it.

    Attributes:
        event: as the port has it.
        early: the engine's list may not show the change yet.
        state_only: nothing but the state of the container changed.
    """

    event: EngineEvent
    early: bool
    state_only: bool

    def __or__(self, other: "DockerEvent") -> "DockerEvent":
        """Return one event for two of the same container."""
        return DockerEvent(
            self.event | other.event,
            early=self.early or other.early,
            state_only=self.state_only and other.state_only,
        )


def translate(item: Value) -> DockerEvent | None:
    """Translate an event of GET /events; return None if nothing that we show changed."""
    actor, kind = item["Actor"], item["Type"].text()
    action = item["Action"].text().partition(":")[0]
    if kind == "container":
        id = actor["ID"].text()
    elif kind == "network" and action in {"connect", "disconnect"}:
        id = actor["Attributes"]["container"].text()
    else:
        return None
    # A network also has ends that are no containers.
    if not FULL_ID.fullmatch(id) or action in _SILENT:
        return None
    event = EngineEvent(
        id=id,
        removed=action == "destroy",
        ended=action == "die",
        reconfigured=action in _RECONFIGURED,
    )
    return DockerEvent(event, early=action in _EARLY, state_only=action in _STATE_ONLY)
