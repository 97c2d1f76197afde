"""What Docker's events say about containers."""

from typing import NamedTuple

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
# Docker sends these during the change: its list shows the change some time later.
_EARLY = frozenset({"connect", "die", "disconnect", "oom", "pause", "rename", "unpause"})


class TimedEvent(NamedTuple):
    """An event, and whether it is early: the engine's list may not show the change yet."""

    event: EngineEvent
    early: bool


def translate(item: Value) -> TimedEvent | None:
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
    return TimedEvent(event, action in _EARLY)
