"""What both views of a container have in common: states, ports, mounts, networks."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from proad.drivers.tolerant import NOTHING, UINT32, Value
from proad.model import (
    BindMount,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceState,
    StateReason,
    TmpfsMount,
    VolumeMount,
)

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
# Of a state that no engine had when this was written, or that cannot be read. What is legal
# then, the engine decides.
UNKNOWN = (ResourceState.FAILED, None)
UNKNOWN_MESSAGE = "the engine tells a state that is not known"
PORT = 2**16 - 1


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


def environment(entries: Value) -> dict[str, str]:
    """Make a mapping of NAME=VALUE lines."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries.texts())}


def moment(value: Value) -> datetime | None:
    """Read a time as Docker writes it; None: never."""
    time = value.time()
    # Go's zero time is in the year 1.
    return None if time is None or time.year == 1 else time


PROTOCOLS = {protocol.lower(): protocol for protocol in PortProtocol}


def merged(ports: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """Show a port on all IPv4 and all IPv6 addresses once, as it was asked for."""
    found = set(ports)
    for port in [port for port in found if port.host_ip == "::"]:
        twin = replace(port, host_ip="0.0.0.0")  # noqa: S104 - nothing listens here
        if twin in found:
            found -= {port, twin}
            found.add(replace(port, host_ip=""))
    return tuple(
        sorted(found, key=lambda p: (p.container_port, p.protocol, p.host_ip, p.host_port or 0))
    )


def in_order(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Sort mounts: Docker gives them in none."""
    return tuple(sorted(mounts, key=lambda mount: mount.target))


def mounted(mount: Value, target: str, wish: Value = NOTHING) -> Mount:
    """Make a mount of a mount point, and of what was asked for at its `target`."""
    read_only = wish["ReadOnly"].flag() or ("RW" in mount and not mount["RW"].flag())
    match mount["Type"].text():
        case "volume":
            source = VolumeMount(name=mount["Name"].text())
            return Mount(target=target, read_only=read_only, volume=source)
        case "tmpfs":
            options = wish["TmpfsOptions"]
            memory = TmpfsMount(
                size_bytes=options["SizeBytes"].count(), mode=options["Mode"].count(UINT32)
            )
            return Mount(target=target, read_only=read_only, tmpfs=memory)
        case _:  # bind, and what a foreign engine may have, such as npipe
            folder = BindMount(source=mount["Source"].text())
            return Mount(target=target, read_only=read_only, bind=folder)


def attached(item: Value, id: str) -> tuple[NetworkAttachment, ...]:
    """Make the networks of a container, sorted by name."""
    attachments = []
    for name, endpoint in item["NetworkSettings"]["Networks"].entries():
        wish = endpoint["IPAMConfig"]
        attachments.append(
            NetworkAttachment(
                network=name,
                # Docker itself adds the short id.
                aliases=tuple(a for a in endpoint["Aliases"].texts() if a != id[:12]),
                ipv4_address=endpoint["IPAddress"].text() or wish["IPv4Address"].text(),
                ipv6_address=endpoint["GlobalIPv6Address"].text() or wish["IPv6Address"].text(),
                mac_address=endpoint["MacAddress"].text(),
            )
        )
    return tuple(sorted(attachments, key=lambda attachment: attachment.network))
