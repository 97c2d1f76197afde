"""The SUMMARY of a container, from the engine's list."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from proad.drivers.docker.labels import labelled_creation, labelled_lifetime, visible
from proad.drivers.docker.view import (
    PORT,
    PROTOCOLS,
    STATES,
    UNKNOWN,
    UNKNOWN_MESSAGE,
    attached,
    exit_reason,
    in_order,
    merged,
    mounted,
)
from proad.drivers.tolerant import Value
from proad.model import (
    ACTIVE,
    Container,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceKind,
    StateDetail,
)

_EXIT_CODE = re.compile(r"\w+ \((-?\d{1,9})\)", re.ASCII)  # at the start of a list's Status


def summary(item: Value, id: str) -> Resource:
    """Convert an entry of GET /containers/json to a resource.

    What Docker returns in no certain order is sorted, so that two summaries of a container
    that did not change are equal. A list does not tell the lifetime, aliases and tmpfs mounts,
    and joins the words of a command, which nothing can undo: those are left out. Our own label
    tells the lifetime of a container that this driver made. The image is its id once the name
    has come to mean another image; `ImageNames` restores the name.
    """
    labels = item["Labels"].mapping()
    image_id = item["ImageID"].text()
    state = (item["State"].one_of(STATES) or UNKNOWN)[0]
    active = state in ACTIVE
    return Resource(
        id=id,
        kind=ResourceKind.CONTAINER,
        name=_own_name(item["Names"].texts()),
        state=state,
        state_detail=_listed_detail(item),
        labels=visible(labels),
        creation=labelled_creation(labels, image_id),
        create_time=item["Created"].timestamp(),
        lifetime=labelled_lifetime(labels, image_id),
        container=Container(
            image=item["Image"].text(),
            image_id=image_id,
            # A list still shows those of a start that failed.
            ports=merged(_ports(item["Ports"])) if active else (),
            mounts=in_order(mounted(item["Mounts"])),
            networks=tuple(replace(each, aliases=()) for each in attached(item, id, active=active)),
        ),
    )


def _ports(ports: Value) -> Iterator[PublishedPort]:
    for port in ports.each():
        inner = port["PrivatePort"].number(1, PORT)
        outer = port["PublicPort"].count(PORT)
        protocol = port["Type"].one_of(PROTOCOLS, PortProtocol.OTHER)
        if inner and outer and protocol:
            yield PublishedPort(
                container_port=inner,
                host_port=outer,
                host_ip=port["IP"].text(),
                protocol=protocol,
            )


def _own_name(names: Iterable[str]) -> str:
    # The others, with a second slash, are links of other containers.
    return next((name[1:] for name in names if "/" not in name[1:]), "")


def _listed_detail(item: Value) -> StateDetail:
    """Take of the list's Status the exit code alone: its words differ from second to second."""
    known = item["State"].one_of(STATES)
    if known is None:
        return StateDetail(message=UNKNOWN_MESSAGE)
    status, reason = item["State"].text(), known[1]
    if status not in {"exited", "restarting"}:
        return StateDetail(reason=reason)
    found = _EXIT_CODE.match(item["Status"].text())
    code = int(found[1]) if found else None
    # Whether what was killed had run out of memory, only an inspect tells.
    return StateDetail(reason=exit_reason(code) if status == "exited" else reason, exit_code=code)
