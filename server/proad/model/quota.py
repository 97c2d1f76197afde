"""Quotas: how much of the host an owner may have in sum."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class QuotaName(StrEnum):
    """What is summed up over all that belongs to one owner."""

    RESOURCES = "RESOURCES"
    RUNNING = "RUNNING"
    CPUS = "CPUS"
    MEMORY_BYTES = "MEMORY_BYTES"
    DISK_BYTES = "DISK_BYTES"
    PORTS = "PORTS"


Amounts = Mapping[QuotaName, float]
"""How much of what; what is not named is 0. Infinite: a container without a limit."""


Limits = Mapping[QuotaName, float]
"""The most of what; of what is not named, any sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a resource counts for in quotas.

    Attributes:
        cpus: the limit of a container, or the processors of a domain; None: there is no limit.
        memory_bytes: the limit of a container, or the most memory of a domain; None: as `cpus`.
        ports: how many ports a container publishes.
    """

    cpus: float | None = None
    memory_bytes: int | None = None
    ports: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One quota of an owner.

    Attributes:
        name: what is summed up.
        used: the sum at present.
        limit: the most; None: any sum.
    """

    name: QuotaName
    used: float
    limit: float | None = None
