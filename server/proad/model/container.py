"""Containers: specification and view."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from itertools import combinations
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from proad.model.checks import (
    GRACE_LIMIT,
    AbsolutePath,
    Bytes,
    Text,
    named_labels,
    named_variables,
    spelled,
)
from proad.model.container_parts import (
    ContainerDisplay,
    ContainerResources,
    Device,
    EnvSecret,
    HealthCheck,
    IpAddress,
    Mount,
    NetworkAttachment,
    PublishedPort,
    RestartPolicy,
    RestartPolicyMode,
    Ulimit,
)
from proad.model.lifetime import Lifetime


class HealthStatus(StrEnum):
    """The last result of a health check."""

    STARTING = "STARTING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    OTHER = "OTHER"


_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def check_container_name(name: str) -> str:
    """Return a name by Docker's own rule; an empty one is none.

    Raises:
        ValueError: no container can have the name.
    """
    if name and not _NAME.fullmatch(name):
        raise ValueError(
            "must have two or more letters and digits of ASCII, and after the first also '_.-'"
        )
    return name


ContainerName = Annotated[str, Field(max_length=250), AfterValidator(check_container_name)]
HostName = Annotated[str, spelled(r"[A-Za-z0-9.-]*", "must consist of letters, digits, '.', '-'")]


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
    env: Annotated[Mapping[Text, Text], AfterValidator(named_variables)] = field(
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
    env_unset: Annotated[tuple[Text, ...], AfterValidator(named_variables)] = ()
    env_secret: Annotated[Mapping[Text, EnvSecret], AfterValidator(named_variables)] = field(
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
