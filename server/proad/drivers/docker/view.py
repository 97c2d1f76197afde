"""What both views of a container have in common: states, ports, mounts, networks."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from proad.model import (
    BindMount,
    Mount,
    NetworkAttachment,
    PublishedPort,
    Resource,
    ResourceState,
    StateReason,
    TmpfsMount,
    VolumeMount,
)

Json = Mapping[str, Any]

KILLED = 128 + 9  # the exit code of a process that SIGKILL ended

STATES = {
    "created": (ResourceState.STOPPED, StateReason.NEVER_STARTED),
    "running": (ResourceState.RUNNING, None),
    "paused": (ResourceState.PAUSED, StateReason.USER),
    "restarting": (ResourceState.STARTING, StateReason.RESTARTING),
    "removing": (ResourceState.REMOVING, None),
    "exited": (ResourceState.STOPPED, None),
    "dead": (ResourceState.FAILED, StateReason.ERROR),
}


def ended(resource: Resource) -> Resource:
    """Give a container that is gone as it last was, STOPPED."""
    if resource.state is ResourceState.STOPPED:
        return resource
    return replace(
        resource,
        state=ResourceState.STOPPED,
        state_detail=replace(resource.state_detail, reason=None, message=""),
        container=resource.container and replace(resource.container, pid=0),
    )


def environment(entries: Iterable[str] | None) -> dict[str, str]:
    """Make a mapping of NAME=VALUE lines."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries or ())}


def moment(text: str | None) -> datetime | None:
    """Read a time as Docker writes it; None: never."""
    # Go's zero time is in the year 1.
    return None if not text or text.startswith("0001-") else datetime.fromisoformat(text)


def merged(ports: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """Show a port on all IPv4 and all IPv6 addresses once, as it was asked for."""
    found = list(dict.fromkeys(ports))
    for port in [port for port in found if port.host_ip == "::"]:
        twin = replace(port, host_ip="0.0.0.0")  # noqa: S104 - nothing listens here
        if twin in found:
            found[found.index(twin)] = replace(port, host_ip="")
            found.remove(port)
    return tuple(
        sorted(found, key=lambda p: (p.container_port, p.protocol, p.host_ip, p.host_port or 0))
    )


def in_order(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Sort mounts: Docker gives them in none."""
    return tuple(sorted(mounts, key=lambda mount: mount.target))


def mounted(mount: Json, asked: Mapping[str, Json]) -> Mount:
    """Make a mount of a mount point, and of what was asked for, by its target."""
    target = mount["Destination"]
    wish = asked.get(target, {})
    read_only = bool(wish.get("ReadOnly")) or mount.get("RW") is False
    match mount["Type"]:
        case "volume":
            source = VolumeMount(name=mount.get("Name") or "")
            return Mount(target=target, read_only=read_only, volume=source)
        case "tmpfs":
            options = wish.get("TmpfsOptions") or {}
            memory = TmpfsMount(
                size_bytes=options.get("SizeBytes") or 0, mode=options.get("Mode") or 0
            )
            return Mount(target=target, read_only=read_only, tmpfs=memory)
        case _:  # bind, and what a foreign engine may have, such as npipe
            folder = BindMount(source=mount.get("Source") or "")
            return Mount(target=target, read_only=read_only, bind=folder)


def attached(item: Json, id: str) -> tuple[NetworkAttachment, ...]:
    """Make the networks of a container, sorted by name."""
    networks = (item.get("NetworkSettings") or {}).get("Networks") or {}
    attachments = []
    for name, endpoint in sorted(networks.items()):
        wish = endpoint.get("IPAMConfig") or {}
        attachments.append(
            NetworkAttachment(
                network=name,
                # Docker itself adds the short id.
                aliases=tuple(a for a in endpoint.get("Aliases") or () if a != id[:12]),
                ipv4_address=endpoint.get("IPAddress") or wish.get("IPv4Address") or "",
                ipv6_address=endpoint.get("GlobalIPv6Address") or wish.get("IPv6Address") or "",
                mac_address=endpoint.get("MacAddress") or "",
            )
        )
    return tuple(attachments)
