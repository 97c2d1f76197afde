"""From the Engine API's JSON to resources."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from proad.drivers.docker.labels import LIFETIME_LABEL, visible
from proad.model import (
    BindMount,
    Container,
    ContainerResources,
    Device,
    HealthStatus,
    Lifetime,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceKind,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    StateDetail,
    StateReason,
    TmpfsMount,
    Ulimit,
    VolumeMount,
)

Json = Mapping[str, Any]

_KILLED = 128 + 9  # the exit code of a process that SIGKILL ended

_EXIT_CODE = re.compile(r"\w+ \((-?\d+)\)", re.ASCII)  # at the start of a list's Status

_STATES = {
    "created": (ResourceState.STOPPED, StateReason.NEVER_STARTED),
    "running": (ResourceState.RUNNING, None),
    "paused": (ResourceState.PAUSED, StateReason.USER),
    "restarting": (ResourceState.STARTING, StateReason.RESTARTING),
    "removing": (ResourceState.REMOVING, None),
    "exited": (ResourceState.STOPPED, None),
    "dead": (ResourceState.FAILED, StateReason.ERROR),
}

_POLICIES = {
    "": RestartPolicyMode.NO,
    "no": RestartPolicyMode.NO,
    "on-failure": RestartPolicyMode.ON_FAILURE,
    "always": RestartPolicyMode.ALWAYS,
    "unless-stopped": RestartPolicyMode.UNLESS_STOPPED,
}


def summary(item: Json) -> Resource:
    """Make a resource of an entry of GET /containers/json.

    Docker does not tell AutoRemove there: `lifetime` is that of the containers which
    this driver made, PERSISTENT for others. What Docker gives in no certain order is
    sorted, so that two summaries of a container that did not change are equal.
    """
    labels = item.get("Labels") or {}
    return Resource(
        id=item["Id"],
        kind=ResourceKind.CONTAINER,
        name=_own_name(item.get("Names") or ()),
        state=_STATES[item["State"]][0],
        state_detail=_listed_detail(item),
        labels=visible(labels),
        create_time=datetime.fromtimestamp(item["Created"], UTC),
        lifetime=Lifetime(labels.get(LIFETIME_LABEL, Lifetime.PERSISTENT)),
        container=Container(
            image=item["Image"],
            image_id=item["ImageID"],
            command=_split(item.get("Command") or ""),
            ports=_merged(
                PublishedPort(
                    container_port=port["PrivatePort"],
                    host_port=port["PublicPort"],
                    host_ip=port.get("IP", ""),
                    protocol=PortProtocol(port["Type"].upper()),
                )
                for port in item.get("Ports") or ()
                if port.get("PublicPort")
            ),
            mounts=_sorted(_mount(mount, {}) for mount in item.get("Mounts") or ()),
            networks=_networks(item, item["Id"]),
        ),
    )


def full(item: Json) -> Resource:
    """Make a resource of GET /containers/{id}/json."""
    host = item["HostConfig"]
    config = item["Config"]
    return Resource(
        id=item["Id"],
        kind=ResourceKind.CONTAINER,
        name=item["Name"].removeprefix("/"),
        state=_STATES[_status(item["State"])][0],
        state_detail=_state_detail(item["State"]),
        labels=visible(config.get("Labels") or {}),
        create_time=moment(item["Created"]),
        lifetime=Lifetime.TRANSIENT if host.get("AutoRemove") else Lifetime.PERSISTENT,
        container=Container(
            image=config["Image"],
            image_id=item["Image"],
            command=(item["Path"], *item["Args"]) if item.get("Path") else (),
            ports=_ports(item),
            mounts=_mounts(item),
            networks=_networks(item, item["Id"]),
            env=environment(config.get("Env")),
            working_dir=config.get("WorkingDir") or "",
            user=config.get("User") or "",
            hostname=config.get("Hostname") or "",
            resources=_resources(host),
            restart_policy=_restart_policy(host.get("RestartPolicy") or {}),
            restart_count=item.get("RestartCount") or 0,
            health=_health(item["State"]),
            pid=item["State"].get("Pid") or 0,
            shm_size_bytes=host.get("ShmSize") or 0,
            ulimits=tuple(
                Ulimit(name=limit["Name"], soft=limit["Soft"], hard=limit["Hard"])
                for limit in host.get("Ulimits") or ()
            ),
            init=bool(host.get("Init")),
            tty=config.get("Tty", False),
            stdin_open=config.get("OpenStdin", False),
            read_only_root=host.get("ReadonlyRootfs", False),
            cap_add=tuple(host.get("CapAdd") or ()),
            cap_drop=tuple(host.get("CapDrop") or ()),
            devices=tuple(
                Device(
                    host_path=device["PathOnHost"],
                    container_path=device["PathInContainer"],
                    permissions=device["CgroupPermissions"],
                )
                for device in host.get("Devices") or ()
            ),
            stop_signal=config.get("StopSignal") or "",
            stop_timeout=_seconds(config.get("StopTimeout")),
            log_driver=(host.get("LogConfig") or {}).get("Type", ""),
            privileged=host.get("Privileged", False),
        ),
    )


def turned(resource: Resource, status: str) -> Resource:
    """Give a SUMMARY as the list shows it once the container is "paused" or "running"."""
    state, reason = _STATES[status]
    return replace(resource, state=state, state_detail=StateDetail(reason=reason))


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


def _status(state: Json) -> str:
    # Running stays set while a container is paused, and while it is being restarted.
    if state.get("Paused"):
        return "paused"
    if state.get("Restarting"):
        return "restarting"
    return str(state["Status"])


def _listed_detail(item: Json) -> StateDetail:
    """Take of the list's Status the exit code alone: its words differ from second to second."""
    reason = _STATES[item["State"]][1]
    if item["State"] not in {"exited", "restarting"}:
        return StateDetail(reason=reason)
    found = _EXIT_CODE.match(item["Status"])
    code = int(found[1]) if found else None
    # Whether what was killed had run out of memory, only an inspect tells.
    if item["State"] == "exited" and code not in {None, _KILLED}:
        reason = StateReason.ERROR if code else StateReason.COMPLETED
    return StateDetail(reason=reason, exit_code=code)


def _state_detail(state: Json) -> StateDetail:
    status = _status(state)
    reason = _STATES[status][1]
    code: int | None = None
    if status in {"exited", "dead", "restarting"}:
        code = state["ExitCode"]
    oom_killed = bool(state.get("OOMKilled"))
    if status == "exited":
        if oom_killed:
            reason = StateReason.OOM_KILLED
        elif code == _KILLED:
            reason = StateReason.KILLED
        else:
            reason = StateReason.ERROR if code else StateReason.COMPLETED
    return StateDetail(
        reason=reason,
        message=state.get("Error") or "",
        exit_code=code,
        oom_killed=oom_killed,
        start_time=moment(state.get("StartedAt")),
        finish_time=moment(state.get("FinishedAt")),
    )


def _ports(item: Json) -> tuple[PublishedPort, ...]:
    actual = (item.get("NetworkSettings") or {}).get("Ports")
    # Only a running container has them; another one is shown with what it asks for.
    ports = actual or item["HostConfig"].get("PortBindings") or {}
    return _merged(
        PublishedPort(
            container_port=int(number),
            host_port=int(binding["HostPort"]) if binding.get("HostPort") else None,
            host_ip=binding.get("HostIp") or "",
            protocol=PortProtocol(protocol.upper()),
        )
        for (number, _, protocol), bindings in (
            (key.partition("/"), bindings) for key, bindings in ports.items()
        )
        for binding in bindings or ()
    )


def _merged(ports: Iterable[PublishedPort]) -> tuple[PublishedPort, ...]:
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


def _mounts(item: Json) -> tuple[Mount, ...]:
    asked = {mount["Target"]: mount for mount in item["HostConfig"].get("Mounts") or ()}
    shown = [_mount(mount, asked) for mount in item.get("Mounts") or ()]
    targets = {mount.target for mount in shown}
    # Memory is not among the mount points of every engine version.
    shown += [
        _mount({**mount, "Destination": target}, asked)
        for target, mount in asked.items()
        if mount["Type"] == "tmpfs" and target not in targets
    ]
    shown += [
        Mount(target=target, tmpfs=TmpfsMount()) for target in item["HostConfig"].get("Tmpfs") or {}
    ]
    return _sorted(shown)


def _sorted(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    return tuple(sorted(mounts, key=lambda mount: mount.target))


def _mount(mount: Json, asked: Mapping[str, Json]) -> Mount:
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


def _networks(item: Json, id: str) -> tuple[NetworkAttachment, ...]:
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


def _resources(host: Json) -> ContainerResources:
    return ContainerResources(
        memory_bytes=host.get("Memory") or 0,
        memory_reservation_bytes=host.get("MemoryReservation") or 0,
        memory_swap_bytes=host.get("MemorySwap") or 0,
        cpus=_cpus(host),
        cpuset_cpus=host.get("CpusetCpus") or "",
        cpu_shares=host.get("CpuShares") or 0,
        pids_limit=max(host.get("PidsLimit") or 0, 0),  # -1 is no limit, too
    )


def _cpus(host: Json) -> float:
    if nanos := host.get("NanoCpus"):
        return float(nanos / 1e9)
    if (quota := host.get("CpuQuota") or 0) > 0:
        return float(quota / (host.get("CpuPeriod") or 100_000))
    return 0.0


def _restart_policy(policy: Json) -> RestartPolicy:
    return RestartPolicy(
        mode=_POLICIES[policy.get("Name") or ""],
        max_retries=policy.get("MaximumRetryCount") or 0,
    )


def _health(state: Json) -> HealthStatus | None:
    status = (state.get("Health") or {}).get("Status", "none")
    return None if status == "none" else HealthStatus(status.upper())


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def moment(text: str | None) -> datetime | None:
    """Read a time as Docker writes it; None: never."""
    # Go's zero time is in the year 1.
    return None if not text or text.startswith("0001-") else datetime.fromisoformat(text)
