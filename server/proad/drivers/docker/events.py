"""What Docker's events say about containers."""

from typing import NamedTuple

from proad.drivers.docker.lookup import FULL_ID
from proad.drivers.tolerant import Value
from proad.model import EngineEvent

# What is told of a container although nothing that we show is changed by it.
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
# Docker tells of these while it is still at it: its list shows them some time later.
_EARLY = frozenset({"connect", "die", "disconnect", "oom", "pause", "rename", "unpause"})


class Told(NamedTuple):
    """An event, and whether the engine's list may not show it yet."""

    event: EngineEvent
    early: bool


def translate(item: Value) -> Told | None:
    """Say an event of GET /events in our terms; None: nothing that we show changed."""
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
    return Told(event, action in _EARLY)
