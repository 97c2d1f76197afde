"""The FULL view of a container, from an inspect."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from proad.drivers.docker.labels import visible
from proad.drivers.docker.view import (
    KILLED,
    STATES,
    attached,
    environment,
    in_order,
    merged,
    moment,
    mounted,
)
from proad.model import (
    Container,
    ContainerResources,
    Device,
    HealthStatus,
    Lifetime,
    Mount,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceKind,
    RestartPolicy,
    RestartPolicyMode,
    StateDetail,
    StateReason,
    TmpfsMount,
    Ulimit,
)

Json = Mapping[str, Any]

_POLICIES = {
    "": RestartPolicyMode.NO,
    "no": RestartPolicyMode.NO,
    "on-failure": RestartPolicyMode.ON_FAILURE,
    "always": RestartPolicyMode.ALWAYS,
    "unless-stopped": RestartPolicyMode.UNLESS_STOPPED,
}


def full(item: Json) -> Resource:
    """Make a resource of GET /containers/{id}/json."""
    host = item["HostConfig"]
    config = item["Config"]
    return Resource(
        id=item["Id"],
        kind=ResourceKind.CONTAINER,
        name=item["Name"].removeprefix("/"),
        state=STATES[_status(item["State"])][0],
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
            networks=attached(item, item["Id"]),
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


def _status(state: Json) -> str:
    # Running stays set while a container is paused, and while it is being restarted.
    if state.get("Paused"):
        return "paused"
    if state.get("Restarting"):
        return "restarting"
    return str(state["Status"])


def _state_detail(state: Json) -> StateDetail:
    status = _status(state)
    reason = STATES[status][1]
    code: int | None = None
    if status in {"exited", "dead", "restarting"}:
        code = state["ExitCode"]
    oom_killed = bool(state.get("OOMKilled"))
    if status == "exited":
        if oom_killed:
            reason = StateReason.OOM_KILLED
        elif code == KILLED:
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
    return merged(
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


def _mounts(item: Json) -> tuple[Mount, ...]:
    asked = {mount["Target"]: mount for mount in item["HostConfig"].get("Mounts") or ()}
    shown = [mounted(mount, asked) for mount in item.get("Mounts") or ()]
    targets = {mount.target for mount in shown}
    # Memory is not among the mount points of every engine version.
    shown += [
        mounted({**mount, "Destination": target}, asked)
        for target, mount in asked.items()
        if mount["Type"] == "tmpfs" and target not in targets
    ]
    shown += [
        Mount(target=target, tmpfs=TmpfsMount()) for target in item["HostConfig"].get("Tmpfs") or {}
    ]
    return in_order(shown)


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
