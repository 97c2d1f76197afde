"""What both views of a container have in common: states, ports, mounts, networks."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from proad.drivers.tolerant import NOTHING, Value
from proad.model import (
    NETWORK_OF,
    BindMount,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceState,
    StateReason,
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
# For a state that is not known, or cannot be read.
UNKNOWN = (ResourceState.OTHER, None)
UNKNOWN_MESSAGE = "the engine tells a state that is not known"
PORT = 2**16 - 1


def ended(resource: Resource) -> Resource:
    """Return a container that is gone as it last was, STOPPED."""
    if resource.state is ResourceState.STOPPED:
        return resource
    return replace(
        resource,
        state=ResourceState.STOPPED,
        state_detail=replace(resource.state_detail, reason=None, message=""),
        container=resource.container and replace(resource.container, pid=0),
    )


def exit_reason(code: int | None) -> StateReason | None:
    """Return why a container has ended, or None where its exit code does not tell."""
    if code is None or code == KILLED:  # by somebody, or by the kernel for want of memory
        return None
    return StateReason.ERROR if code else StateReason.COMPLETED


def environment(entries: Iterable[str]) -> dict[str, str]:
    """Return NAME=VALUE lines as a mapping.

    A NAME alone takes the variable away from a process that would have had it.
    """
    lines = (entry.partition("=") for entry in entries)
    return {name: value for name, equals, value in lines if equals}


def without(secrets: Collection[str], env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the values of some of its variables."""
    return {name: "" if name in secrets else value for name, value in env.items()}


def moment(value: Value) -> datetime | None:
    """Read a time as Docker writes it; None: never."""
    time = value.time()
    # Go's zero time is in the year 1.
    return None if time is None or time.year == 1 else time


def to_the_second(value: Value) -> datetime | None:
    """Read a time as exactly as Docker's list has it."""
    time = moment(value)
    return time and time.replace(microsecond=0)


PROTOCOLS = {protocol.lower(): protocol for protocol in PortProtocol}


def merged(ports: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """Show a port on all IPv4 and all IPv6 addresses once, as it was asked for."""
    found = set(ports)
    for port in [port for port in found if port.host_ip == "::"]:
        twin = replace(port, host_ip="0.0.0.0")  # noqa: S104 - nothing listens here
        if twin in found:
            found -= {port, twin}
            found.add(replace(port, host_ip=""))
    return by_number(found)


def by_number(ports: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
    """Sort ports, which Docker returns in no certain order."""
    return tuple(
        sorted(ports, key=lambda p: (p.container_port, p.protocol, p.host_ip, p.host_port or 0))
    )


def in_order(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Sort mounts, which Docker returns in no certain order."""
    return tuple(sorted(mounts, key=lambda mount: mount.target))


def mounted(mounts: Value) -> Iterator[Mount]:
    """Return the mount points of a container, but for memory: not all of it is among them."""
    for mount in mounts.each():
        kind, target = mount["Type"].text(), mount["Destination"].text()
        if not target or kind == "tmpfs":
            continue
        read_only = "RW" in mount and not mount["RW"].flag()
        match kind:
            case "volume":
                volume = VolumeMount(name=mount["Name"].text())
                yield Mount(target=target, read_only=read_only, volume=volume)
            case "bind":
                folder = BindMount(source=mount["Source"].text())
                yield Mount(target=target, read_only=read_only, bind=folder)
            case _:  # such as an image, or what a foreign engine may have
                yield Mount(target=target, read_only=read_only)


def attached(item: Value, id: str, *, active: bool) -> tuple[NetworkAttachment, ...]:
    """Return the networks of a container, sorted by name.

    One that is not `active` has no addresses, whatever a list still shows of a start that
    failed; what it asks for is shown in their place.
    """
    mode = item["HostConfig"]["NetworkMode"].text()
    if mode.startswith(NETWORK_OF):
        return (NetworkAttachment(network=mode),)
    attachments = []
    for name, endpoint in item["NetworkSettings"]["Networks"].entries():
        wish, has = endpoint["IPAMConfig"], endpoint if active else NOTHING
        attachments.append(
            NetworkAttachment(
                network=name,
                # Docker itself adds the short id.
                aliases=tuple(a for a in endpoint["Aliases"].texts() if a != id[:12]),
                ipv4_address=has["IPAddress"].text() or wish["IPv4Address"].text(),
                ipv6_address=has["GlobalIPv6Address"].text() or wish["IPv6Address"].text(),
                mac_address=has["MacAddress"].text(),
            )
        )
    return tuple(sorted(attachments, key=lambda attachment: attachment.network))
