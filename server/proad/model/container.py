"""Containers: specification and view."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from itertools import combinations
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, model_validator

from proad.model.checks import (
    GRACE_LIMIT,
    AbsolutePath,
    Bytes,
    Count,
    MacAddress,
    Port,
    Text,
    named_labels,
    spelled,
)
from proad.model.lifetime import Lifetime


class PortProtocol(StrEnum):
    """Transport protocol of a port."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    OTHER = "OTHER"


class RestartPolicyMode(StrEnum):
    """Docker's action at the end of a container's process."""

    NO = "NO"
    ON_FAILURE = "ON_FAILURE"
    ALWAYS = "ALWAYS"
    UNLESS_STOPPED = "UNLESS_STOPPED"
    OTHER = "OTHER"


class DisplayProtocol(StrEnum):
    """What a screen is shown by."""

    VNC = "VNC"
    HTTP = "HTTP"
    RDP = "RDP"


class HealthStatus(StrEnum):
    """The last result of a health check."""

    STARTING = "STARTING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    OTHER = "OTHER"


def _address(value: str) -> str:
    if value:
        ip_address(value)
    return value


NETWORK_OF = "container:"
"""Prefix of a network that is shared with another container; its id or name follows."""
IpAddress = Annotated[str, AfterValidator(_address)]
# Docker's own rule for names.
ContainerName = Annotated[
    str,
    Field(max_length=250),
    spelled(
        r"([a-zA-Z0-9][a-zA-Z0-9_.-]+)?",
        "must have two or more letters and digits of ASCII, and after the first also '_.-'",
    ),
]
CpuSet = Annotated[str, spelled(r"[0-9,-]*", "must be a list of CPUs, such as 0-2,4")]
HostName = Annotated[str, spelled(r"[A-Za-z0-9.-]*", "must consist of letters, digits, '.', '-'")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of the container on an address of the host. Without `host_port`, Docker picks one."""

    container_port: Port
    host_port: Port | None = None
    host_ip: IpAddress = ""
    protocol: PortProtocol = PortProtocol.TCP


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount:
    """A folder or file of the host."""

    source: AbsolutePath


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A Docker volume; an empty name means an anonymous one."""

    name: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpfsMount:
    """A file system in memory; None means the default of the host, or of Docker."""

    size_bytes: Bytes | None = None
    mode: Annotated[int, Field(ge=0, le=0o7777)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file system mounted into a container, from exactly one of three sources."""

    target: AbsolutePath
    read_only: bool = False
    bind: BindMount | None = None
    volume: VolumeMount | None = None
    tmpfs: TmpfsMount | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> "Mount":
        if (self.bind, self.volume, self.tmpfs).count(None) != 2:  # noqa: PLR2004 - two of three
            raise ValueError("set exactly one of bind, volume and tmpfs")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAttachment:
    """A network of a container."""

    network: Annotated[Text, Field(min_length=1)]
    aliases: tuple[Text, ...] = ()
    ipv4_address: IpAddress = ""
    ipv6_address: IpAddress = ""
    mac_address: MacAddress = ""

    @property
    def stands_alone(self) -> bool:
        """Whether the attachment excludes others: no network, the host's own, or that of
        another container.
        """
        return self.network in {"none", "host"} or self.network.startswith(NETWORK_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    """A resource limit of a container's processes; -1 means no limit."""

    name: Annotated[str, spelled(r"[a-z]+", "must be the name of a limit, such as nofile")]
    soft: Annotated[int, Field(ge=-1)] = 0
    hard: Annotated[int, Field(ge=-1)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Whether and how Docker restarts an ended container."""

    mode: RestartPolicyMode = RestartPolicyMode.NO
    max_retries: Count = 0

    @model_validator(mode="after")
    def _retries_need_on_failure(self) -> "RestartPolicy":
        if self.max_retries and self.mode is not RestartPolicyMode.ON_FAILURE:
            raise ValueError("max_retries goes with mode ON_FAILURE only")
        return self


# Docker counts both in nanoseconds, or billionths of a CPU, with 63 bits.
_LONGEST = timedelta(days=36500)


def _counted(cpus: float) -> float:
    """Refuse so little that an engine counts it as nothing, which means no limit."""
    if cpus and round(cpus * 1e9) == 0:
        raise ValueError("must be at least 0.000000001, or 0 for no limit")
    return cpus


_Cpus = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False), AfterValidator(_counted)]
_Period = Annotated[timedelta, Field(ge=timedelta(milliseconds=1), le=_LONGEST)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A command that checks a container's health. None and zero mean Docker's defaults."""

    command: tuple[Text, ...] = ()
    shell_command: Text = ""
    interval: _Period | None = None
    timeout: _Period | None = None
    retries: Count = 0
    start_period: Annotated[timedelta, Field(ge=timedelta(0), le=_LONGEST)] | None = None
    disabled: bool = False

    @model_validator(mode="after")
    def _one_command(self) -> "HealthCheck":
        if bool(self.command) + bool(self.shell_command) + self.disabled > 1:
            raise ValueError("set at most one of command, shell_command and disabled")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of the host in a container."""

    host_path: AbsolutePath
    container_path: AbsolutePath | None = None
    permissions: Annotated[str, spelled(r"[rwm]{0,3}", "must be any of r, w, m")] = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerResources:
    """Resource limits of a container; None means the default of the host, zero no limit."""

    memory_bytes: Bytes | None = None
    memory_reservation_bytes: Bytes | None = None
    memory_swap_bytes: Annotated[int, Field(ge=-1)] | None = None
    cpus: _Cpus | None = None
    cpuset_cpus: CpuSet = ""
    cpu_shares: Count | None = None
    pids_limit: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDisplay:
    """A screen inside a container."""

    protocol: DisplayProtocol
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSecret:
    """The value of an environment variable that is never shown.

    A `redacted` one has no value here: that of an existing container is meant.
    """

    value: Text = field(default="", repr=False)
    redacted: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> "EnvSecret":
        if self.redacted and self.value:
            raise ValueError("value and redacted exclude each other")
        return self


_Env = TypeVar("_Env", Mapping[str, str], Mapping[str, EnvSecret])


def _environment(env: _Env) -> _Env:
    _names_of_variables(tuple(env))
    return env


def _names_of_variables(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name of a variable")
    return names


def _extra_hosts(hosts: Mapping[str, str]) -> Mapping[str, str]:
    for address in hosts.values():
        if address != "host-gateway":
            ip_address(address)
    return hosts


_RESERVED = "proa.driver."


def is_reserved(key: str) -> bool:
    """Return whether a key of a container's label is the daemon's own."""
    return key.startswith(_RESERVED)


def _free_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    if taken := sorted(filter(is_reserved, labels)):
        raise ValueError(f"{taken[0]} is the daemon's own; use another key")
    return named_labels(labels)


Labels = Annotated[Mapping[Text, Text], AfterValidator(_free_labels)]
Signal = Annotated[
    str,
    spelled(r"((SIG)?[A-Z][A-Z0-9+-]*|[0-9]{1,2})?", "must be a signal, such as SIGINT or 2"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """The specification of a container. Empty and zero fields mean the image's or Docker's default."""

    image: Annotated[Text, Field(min_length=1)]
    name: ContainerName = ""
    command: tuple[Text, ...] = ()
    entrypoint: tuple[Text, ...] = ()
    env: Annotated[Mapping[Text, Text], AfterValidator(_environment)] = field(
        default_factory=dict, repr=False
    )
    working_dir: AbsolutePath | None = None
    user: Text = ""
    hostname: Annotated[HostName, Field(max_length=63)] = ""
    domainname: Annotated[HostName, Field(max_length=255)] = ""
    labels: Labels = field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()
    mounts: tuple[Mount, ...] = ()
    networks: tuple[NetworkAttachment, ...] = ()
    dns_servers: tuple[IpAddress, ...] = ()
    dns_search: tuple[Text, ...] = ()
    extra_hosts: Annotated[Mapping[Text, str], AfterValidator(_extra_hosts)] = field(
        default_factory=dict
    )
    resources: ContainerResources = field(default_factory=ContainerResources)
    shm_size_bytes: Bytes | None = None
    ulimits: tuple[Ulimit, ...] = ()
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    health_check: HealthCheck | None = None
    init: bool | None = None
    tty: bool = False
    stdin_open: bool = False
    read_only_root: bool = False
    cap_add: tuple[Text, ...] = ()
    cap_drop: tuple[Text, ...] = ()
    devices: tuple[Device, ...] = ()
    group_add: tuple[Text, ...] = ()
    sysctls: Mapping[Text, Text] = field(default_factory=dict)
    stop_signal: Signal = ""
    stop_timeout: Annotated[timedelta, Field(ge=timedelta(0), le=GRACE_LIMIT)] | None = None
    lifetime: Lifetime = Lifetime.PERSISTENT
    log_driver: Text = ""
    log_options: Mapping[Text, Text] = field(default_factory=dict, repr=False)
    deletion_protection: bool = False
    display: ContainerDisplay | None = None
    env_unset: Annotated[tuple[Text, ...], AfterValidator(_names_of_variables)] = ()
    env_secret: Annotated[Mapping[Text, EnvSecret], AfterValidator(_environment)] = field(
        default_factory=dict
    )
    allow_new_privileges: bool | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "ContainerSpec":
        self.check_together()
        return self

    def check_together(self) -> None:
        """Check the fields against each other. Raises ValueError."""
        policy = self.restart_policy.mode
        if self.lifetime is Lifetime.TRANSIENT and policy is not RestartPolicyMode.NO:
            raise ValueError("a TRANSIENT container cannot have a restart policy")
        if self.lifetime is Lifetime.TRANSIENT and self.deletion_protection:
            raise ValueError("a TRANSIENT container cannot have deletion_protection")
        targets = [mount.target for mount in self.mounts]
        if len(set(targets)) != len(targets):
            raise ValueError("two mounts have the same target")
        held = [(p.host_ip, p.host_port, p.protocol) for p in self.ports if p.host_port]
        if len(set(held)) != len(held):
            raise ValueError("two ports have the same host_port")
        alone = [each.network for each in self.networks if each.stands_alone]
        if alone and len(self.networks) > 1:
            raise ValueError(f"the network {alone[0]!r} stands alone")
        for one, other in combinations(("env", "env_unset", "env_secret"), 2):
            if both := sorted({*getattr(self, one)} & {*getattr(self, other)}):
                raise ValueError(f"{one} and {other} exclude each other: {', '.join(both)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The container part of a resource. The contract defines the fields of a SUMMARY.

    `carried_volumes` are nameless volumes that a recreation has kept: for the driver alone.
    `omissions` are the values of what `spec_omits` names, as the engine has them: for the policy.
    """

    spec: ContainerSpec | None = None
    spec_omits: tuple[str, ...] = ()
    image: str
    image_id: str
    command: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    mounts: tuple[Mount, ...] = ()
    networks: tuple[NetworkAttachment, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    stop_signal: str = ""
    restart_count: int = 0
    health: HealthStatus | None = None
    pid: int = 0
    privileged: bool = False
    display: ContainerDisplay | None = None
    carried_volumes: tuple[str, ...] = ()
    omissions: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
