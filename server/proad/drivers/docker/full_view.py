"""The FULL view of a container, from an inspect."""

from collections.abc import Iterator

from proad.drivers.docker.labels import CREATION_LABEL, visible
from proad.drivers.docker.tmpfs import in_memory
from proad.drivers.docker.view import (
    KILLED,
    PORT,
    PROTOCOLS,
    STATES,
    UNKNOWN,
    UNKNOWN_MESSAGE,
    attached,
    by_number,
    environment,
    exit_reason,
    in_order,
    merged,
    moment,
    mounted,
    to_the_second,
)
from proad.drivers.tolerant import INT32, Value
from proad.model import (
    ACTIVE,
    Container,
    ContainerResources,
    Device,
    HealthStatus,
    Lifetime,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceKind,
    RestartPolicy,
    RestartPolicyMode,
    StateDetail,
    StateReason,
    Ulimit,
)

_POLICIES = {
    "": RestartPolicyMode.NO,
    "no": RestartPolicyMode.NO,
    "on-failure": RestartPolicyMode.ON_FAILURE,
    "always": RestartPolicyMode.ALWAYS,
    "unless-stopped": RestartPolicyMode.UNLESS_STOPPED,
}


_HEALTH = {status.lower(): status for status in HealthStatus}
# Seconds that the contract has room for; less than 0 is Docker's word for "for ever".
_LONGEST = 315_576_000_000


def full(item: Value, id: str) -> Resource:
    """Convert to a resource: GET /containers/{id}/json."""
    host, config, state = item["HostConfig"], item["Config"], item["State"]
    shown = STATES.get(_status(state), UNKNOWN)[0]
    active = shown in ACTIVE
    return Resource(
        id=id,
        kind=ResourceKind.CONTAINER,
        name=item["Name"].text().removeprefix("/"),
        state=shown,
        state_detail=_state_detail(state),
        labels=visible(config["Labels"].mapping()),
        creation=config["Labels"][CREATION_LABEL].text(),
        create_time=to_the_second(item["Created"]),
        lifetime=Lifetime.TRANSIENT if host["AutoRemove"].flag() else Lifetime.PERSISTENT,
        container=Container(
            image=config["Image"].text(),
            image_id=item["Image"].text(),
            command=(path, *item["Args"].texts()) if (path := item["Path"].text()) else (),
            ports=merged(_ports(item["NetworkSettings"]["Ports"])) if active else (),
            requested_ports=by_number(_ports(host["PortBindings"])),
            mounts=in_order([*mounted(item["Mounts"]), *in_memory(item)]),
            networks=attached(item, id, active=active),
            env=environment(config["Env"]),
            working_dir=config["WorkingDir"].text(),
            user=config["User"].text(),
            hostname=config["Hostname"].text(),
            resources=_resources(host),
            restart_policy=_restart_policy(host["RestartPolicy"]),
            restart_count=item["RestartCount"].count(INT32),
            health=_health(state["Health"]["Status"]),
            pid=state["Pid"].count(INT32),
            shm_size_bytes=host["ShmSize"].count(),
            ulimits=tuple(_ulimits(host["Ulimits"])),
            init=host["Init"].flag(),
            tty=config["Tty"].flag(),
            stdin_open=config["OpenStdin"].flag(),
            read_only_root=host["ReadonlyRootfs"].flag(),
            cap_add=host["CapAdd"].texts(),
            cap_drop=host["CapDrop"].texts(),
            devices=tuple(
                Device(
                    host_path=device["PathOnHost"].text(),
                    container_path=device["PathInContainer"].text(),
                    permissions=device["CgroupPermissions"].text(),
                )
                for device in host["Devices"].each()
            ),
            stop_signal=config["StopSignal"].text(),
            stop_timeout=config["StopTimeout"].seconds(-_LONGEST, _LONGEST),
            log_driver=host["LogConfig"]["Type"].text(),
            privileged=host["Privileged"].flag(),
        ),
    )


def _status(state: Value) -> str:
    # Running stays set while a container is paused, and while it is being restarted.
    if state["Paused"].flag():
        return "paused"
    if state["Restarting"].flag():
        return "restarting"
    status = state["Status"]
    return status.text() if status.one_of(STATES) else ""


def _state_detail(state: Value) -> StateDetail:
    status = _status(state)
    reason = STATES.get(status, UNKNOWN)[1]
    code: int | None = None
    if status in {"exited", "dead", "restarting"}:
        code = state["ExitCode"].number(-INT32)
    oom_killed = state["OOMKilled"].flag()
    if status == "exited":
        reason = exit_reason(code)
        if code == KILLED:
            # What was killed for want of memory may have been a child that it outlived.
            reason = StateReason.OOM_KILLED if oom_killed else StateReason.KILLED
    return StateDetail(
        reason=reason,
        message=state["Error"].text() or ("" if status else UNKNOWN_MESSAGE),
        exit_code=code,
        oom_killed=oom_killed,
        start_time=moment(state["StartedAt"]),
        finish_time=moment(state["FinishedAt"]),
    )


def _ports(ports: Value) -> Iterator[PublishedPort]:
    for key, bindings in ports.entries():
        number, _, word = key.partition("/")
        inner = bindings.instead(number).number(1, PORT)
        protocol = bindings.instead(word).one_of(PROTOCOLS, PortProtocol.OTHER)
        for binding in bindings.each():
            if inner is None or protocol is None:
                break
            yield PublishedPort(
                container_port=inner,
                host_port=_host_port(binding["HostPort"]),
                host_ip=binding["HostIp"].text(),
                protocol=protocol,
            )


def _host_port(port: Value) -> int | None:
    """Read a port of the host; None: Docker picks one, of all or of a range such as "80-90"."""
    text = port.text()
    if not text or "-" in text:
        return None
    return port.number(0, PORT) or None


def _ulimits(limits: Value) -> Iterator[Ulimit]:
    for limit in limits.each():
        soft, hard = limit["Soft"].number(-1), limit["Hard"].number(-1)
        if soft is not None and hard is not None:
            yield Ulimit(name=limit["Name"].text(), soft=soft, hard=hard)


def _resources(host: Value) -> ContainerResources:
    return ContainerResources(
        memory_bytes=host["Memory"].count(),
        memory_reservation_bytes=host["MemoryReservation"].count(),
        memory_swap_bytes=host["MemorySwap"].number(-1) or 0,
        cpus=_cpus(host),
        cpuset_cpus=host["CpusetCpus"].text(),
        cpu_shares=host["CpuShares"].count(INT32),
        pids_limit=max(host["PidsLimit"].number(-1, INT32) or 0, 0),  # -1 is no limit, too
    )


def _cpus(host: Value) -> float:
    if nanos := host["NanoCpus"].count():
        return nanos / 1e9
    if (quota := host["CpuQuota"].number(-1) or 0) > 0:
        return quota / (host["CpuPeriod"].count() or 100_000)
    return 0.0


def _restart_policy(policy: Value) -> RestartPolicy:
    return RestartPolicy(
        mode=policy["Name"].one_of(_POLICIES, RestartPolicyMode.OTHER) or RestartPolicyMode.NO,
        max_retries=policy["MaximumRetryCount"].count(INT32),
    )


def _health(status: Value) -> HealthStatus | None:
    return None if status.text() in {"", "none"} else status.one_of(_HEALTH, HealthStatus.OTHER)
