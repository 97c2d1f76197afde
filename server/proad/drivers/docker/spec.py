"""Conversion of specifications to the JSON of the Engine API."""

import math
from datetime import timedelta
from typing import Any

from proad.drivers.docker.labels import CREATION_LABEL, DISPLAY_LABEL, display_label
from proad.drivers.docker.security_options import security_options
from proad.errors import FieldViolation, InvalidArgumentError
from proad.model import (
    ContainerResources,
    ContainerSpec,
    HealthCheck,
    Lifetime,
    Mount,
    NetworkAttachment,
    PublishedPort,
    RestartPolicy,
    RestartPolicyMode,
    is_reserved,
)

Json = dict[str, Any]

_POLICIES = {
    RestartPolicyMode.NO: "no",
    RestartPolicyMode.ON_FAILURE: "on-failure",
    RestartPolicyMode.ALWAYS: "always",
    RestartPolicyMode.UNLESS_STOPPED: "unless-stopped",
}
# The limits by the paths of a specification.
_LIMITS = {
    "resources.memory_bytes": "Memory",
    "resources.memory_reservation_bytes": "MemoryReservation",
    "resources.memory_swap_bytes": "MemorySwap",
    "resources.cpus": "NanoCpus",
    "resources.cpuset_cpus": "CpusetCpus",
    "resources.cpu_shares": "CpuShares",
    "resources.pids_limit": "PidsLimit",
}


def creation(spec: ContainerSpec, nonce: str) -> Json:
    """Return the body of POST /containers/create. `nonce` labels what this create makes.

    Raises:
        InvalidArgumentError: what is set can only be read.
    """
    violations = [
        FieldViolation(f"spec.networks[{index}].mac_address", "is only read: Docker chooses it")
        for index, attachment in enumerate(spec.networks)
        if attachment.mac_address
    ]
    violations += [
        FieldViolation("spec.labels", f"{key} is the daemon's own; use another key")
        for key in sorted(filter(is_reserved, spec.labels))
    ]
    if violations:
        raise InvalidArgumentError(violations)
    return _without_defaults(
        {
            "Image": spec.image,
            "Cmd": list(spec.command),
            "Entrypoint": list(spec.entrypoint),
            # A name alone keeps the variable of the image away.
            "Env": [
                *(f"{name}={value}" for name, value in spec.env.items()),
                *(f"{name}={secret.value}" for name, secret in spec.env_secret.items()),
                *spec.env_unset,
            ],
            "WorkingDir": spec.working_dir,
            "User": spec.user,
            "Hostname": spec.hostname,
            "Domainname": spec.domainname,
            "Labels": {**spec.labels, **_display(spec), CREATION_LABEL: nonce},
            "ExposedPorts": {_port_key(port): {} for port in spec.ports},
            "Healthcheck": spec.health_check and _health_check(spec.health_check),
            "Tty": spec.tty,
            "OpenStdin": spec.stdin_open,
            "StopSignal": spec.stop_signal,
            "StopTimeout": whole_seconds(spec.stop_timeout),
            "HostConfig": _host_config(spec),
            "NetworkingConfig": _networking(spec),
        }
    )


def _display(spec: ContainerSpec) -> Json:
    return {DISPLAY_LABEL: display_label(spec.display)} if spec.display else {}


def endpoint(attachment: NetworkAttachment) -> Json:
    """Return an EndpointSettings."""
    return _without_defaults(
        {
            "Aliases": list(attachment.aliases),
            "IPAMConfig": _without_defaults(
                {
                    "IPv4Address": attachment.ipv4_address,
                    "IPv6Address": attachment.ipv6_address,
                }
            ),
        }
    )


def changes(wanted: ContainerSpec, paths: frozenset[str]) -> Json:
    """Return the body of POST /containers/{id}/update, with the fields that `paths` name."""
    limits = _limits(wanted.resources)
    body = {key: limits[key] for path, key in _LIMITS.items() if path in paths}
    if "restart_policy" in paths:
        body["RestartPolicy"] = _restart_policy(wanted.restart_policy)
    return body


def whole_seconds(time: timedelta | None) -> int | None:
    """Return a time as Docker takes it, rounded up."""
    return None if time is None else math.ceil(time.total_seconds())


def _host_config(spec: ContainerSpec) -> Json:
    bindings: dict[str, list[Json]] = {}
    for port in spec.ports:
        bindings.setdefault(_port_key(port), []).append(
            {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}
        )
    return _without_defaults(
        {
            "NetworkMode": spec.networks[0].network if spec.networks else "",
            "PortBindings": bindings,
            "Mounts": [_mount(mount) for mount in spec.mounts],
            "Dns": list(spec.dns_servers),
            "DnsSearch": list(spec.dns_search),
            "ExtraHosts": [f"{name}:{address}" for name, address in spec.extra_hosts.items()],
            **_limits(spec.resources),
            "ShmSize": spec.shm_size_bytes,
            "Ulimits": [
                {"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard}
                for limit in spec.ulimits
            ],
            "RestartPolicy": _restart_policy(spec.restart_policy),
            "AutoRemove": spec.lifetime is Lifetime.TRANSIENT,
            "Init": spec.init,
            "ReadonlyRootfs": spec.read_only_root,
            "CapAdd": list(spec.cap_add),
            "CapDrop": list(spec.cap_drop),
            "SecurityOpt": security_options(spec.allow_new_privileges),
            "Devices": [
                {
                    "PathOnHost": device.host_path,
                    "PathInContainer": device.container_path or device.host_path,
                    "CgroupPermissions": device.permissions or "rwm",
                }
                for device in spec.devices
            ],
            "GroupAdd": list(spec.group_add),
            "Sysctls": dict(spec.sysctls),
            "LogConfig": _without_defaults(
                {"Type": spec.log_driver, "Config": dict(spec.log_options)}
            ),
        }
    )


def _limits(limits: ContainerResources) -> Json:
    return {
        "Memory": limits.memory_bytes or 0,
        "MemoryReservation": limits.memory_reservation_bytes or 0,
        "MemorySwap": limits.memory_swap_bytes or 0,
        "NanoCpus": _nanos(limits.cpus),
        "CpusetCpus": limits.cpuset_cpus,
        "CpuShares": limits.cpu_shares or 0,
        "PidsLimit": limits.pids_limit or 0,
    }


def _networking(spec: ContainerSpec) -> Json:
    first = next(iter(spec.networks), None)
    if first is None or first.stands_alone:
        return {}  # nor has it an endpoint to configure
    return {"EndpointsConfig": {first.network: endpoint(first)}}


def _port_key(port: PublishedPort) -> str:
    return f"{port.container_port}/{port.protocol.lower()}"


def _mount(mount: Mount) -> Json:
    body: Json = {"Target": mount.target, "ReadOnly": mount.read_only}
    if mount.bind is not None:
        return {**body, "Type": "bind", "Source": mount.bind.source}
    if mount.tmpfs is not None:
        options = {"SizeBytes": mount.tmpfs.size_bytes, "Mode": mount.tmpfs.mode}
        return {**body, "Type": "tmpfs", "TmpfsOptions": _without_defaults(options)}
    return {**body, "Type": "volume", "Source": mount.volume.name if mount.volume else ""}


def _health_check(check: HealthCheck) -> Json:
    if check.disabled:
        return {"Test": ["NONE"]}
    test: list[str] = []
    if check.command:
        test = ["CMD", *check.command]
    elif check.shell_command:
        test = ["CMD-SHELL", check.shell_command]
    return _without_defaults(
        {
            "Test": test,
            "Interval": _nanoseconds(check.interval),
            "Timeout": _nanoseconds(check.timeout),
            "Retries": check.retries,
            "StartPeriod": _nanoseconds(check.start_period),
        }
    )


def _restart_policy(policy: RestartPolicy) -> Json:
    return {"Name": _POLICIES[policy.mode], "MaximumRetryCount": policy.max_retries}


def _nanos(cpus: float | None) -> int:
    return round((cpus or 0) * 1e9)


def _nanoseconds(time: timedelta | None) -> int:
    return 0 if time is None else time // timedelta(microseconds=1) * 1000


def _without_defaults(body: Json) -> Json:
    """Leave out what is not set: the image's or Docker's default then applies.

    A stop timeout of 0 is a value, and so is no init; an empty string or list is none.
    """
    return {
        key: value
        for key, value in body.items()
        if value or (key in {"StopTimeout", "Init"} and value is not None)
    }
