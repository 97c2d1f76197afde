"""The SUMMARY of a container, from the engine's list."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from proad.drivers.docker.labels import visible
from proad.drivers.docker.view import KILLED, STATES, attached, in_order, merged, mounted
from proad.model import (
    Container,
    Lifetime,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceKind,
    StateDetail,
    StateReason,
)

Json = Mapping[str, Any]

_EXIT_CODE = re.compile(r"\w+ \((-?\d+)\)", re.ASCII)  # at the start of a list's Status


def summary(item: Json, lifetime: Lifetime = Lifetime.PERSISTENT) -> Resource:
    """Make a resource of an entry of GET /containers/json, which does not tell its `lifetime`.

    What Docker gives in no certain order is sorted, so that two summaries of a container
    that did not change are equal.
    """
    return Resource(
        id=item["Id"],
        kind=ResourceKind.CONTAINER,
        name=_own_name(item.get("Names") or ()),
        state=STATES[item["State"]][0],
        state_detail=_listed_detail(item),
        labels=visible(item.get("Labels") or {}),
        create_time=datetime.fromtimestamp(item["Created"], UTC),
        lifetime=lifetime,
        container=Container(
            image=item["Image"],
            image_id=item["ImageID"],
            command=_split(item.get("Command") or ""),
            ports=merged(
                PublishedPort(
                    container_port=port["PrivatePort"],
                    host_port=port["PublicPort"],
                    host_ip=port.get("IP", ""),
                    protocol=PortProtocol(port["Type"].upper()),
                )
                for port in item.get("Ports") or ()
                if port.get("PublicPort")
            ),
            mounts=in_order(mounted(mount, {}) for mount in item.get("Mounts") or ()),
            networks=attached(item, item["Id"]),
        ),
    )


def turned(resource: Resource, status: str) -> Resource:
    """Give a SUMMARY as the list shows it once the container is "paused" or "running"."""
    state, reason = STATES[status]
    return replace(resource, state=state, state_detail=StateDetail(reason=reason))


def _own_name(names: Iterable[str]) -> str:
    # The others, with a second slash, are links of other containers.
    return next((name[1:] for name in names if "/" not in name[1:]), "")


def _split(command: str) -> tuple[str, ...]:
    """Undo Docker's joining: it quotes arguments with spaces, and escapes nothing."""
    words = shlex.shlex(command, posix=True, punctuation_chars=False)
    words.whitespace_split = True
    words.whitespace = " "
    words.commenters = words.escape = ""
    words.quotes = "'"
    try:
        return tuple(words)
    except ValueError:  # an argument that has a quote of its own
        return (command,)


def _listed_detail(item: Json) -> StateDetail:
    """Take of the list's Status the exit code alone: its words differ from second to second."""
    reason = STATES[item["State"]][1]
    if item["State"] not in {"exited", "restarting"}:
        return StateDetail(reason=reason)
    found = _EXIT_CODE.match(item["Status"])
    code = int(found[1]) if found else None
    # Whether what was killed had run out of memory, only an inspect tells.
    if item["State"] == "exited" and code not in {None, KILLED}:
        reason = StateReason.ERROR if code else StateReason.COMPLETED
    return StateDetail(reason=reason, exit_code=code)
