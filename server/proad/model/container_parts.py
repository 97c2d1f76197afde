"""What the specification of a container consists of."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from proad.model.checks import (
    AbsolutePath,
    Bytes,
    Count,
    MacAddress,
    Port,
    Text,
    spelled,
)


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


def _address(value: str) -> str:
    if value:
        ip_address(value)
    return value


NETWORK_OF = "container:"
"""Prefix of a network that is shared with another container; its id or name follows."""
IpAddress = Annotated[str, AfterValidator(_address)]
CpuSet = Annotated[str, spelled(r"[0-9,-]*", "must be a list of CPUs, such as 0-2,4")]


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
