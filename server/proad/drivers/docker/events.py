"""What Docker's events say about containers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from proad.drivers.docker.lookup import FULL_ID
from proad.model import EngineEvent

Json = Mapping[str, Any]

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


def translate(item: Json) -> Told | None:
    """Say an event of GET /events in our terms; None: nothing that we show changed."""
    actor = item.get("Actor") or {}
    action = str(item.get("Action") or "").partition(":")[0]
    if item.get("Type") == "container":
        id = str(actor.get("ID"))
    elif item.get("Type") == "network" and action in {"connect", "disconnect"}:
        id = str((actor.get("Attributes") or {}).get("container"))
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
