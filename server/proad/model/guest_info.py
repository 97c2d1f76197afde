"""What is known of the inside of a resource. The contract defines the fields."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingSystem:
    """An operating system, as it names itself."""

    id: str = ""
    name: str = ""
    version: str = ""
    kernel_release: str = ""
    kernel_version: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestInterface:
    """A network interface, as it is seen inside."""

    name: str = ""
    mac_address: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestUser:
    """Somebody who is logged in inside."""

    name: str
    domain: str = ""
    login_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestInfo:
    """What a resource says of itself, or its engine of its inside. Not to be believed.

    `user_count` is None if it is not known, and `agent_answered` if no agent was asked.
    """

    hostname: str = ""
    operating_system: OperatingSystem | None = None
    interfaces: tuple[GuestInterface, ...] = ()
    users: tuple[GuestUser, ...] = ()
    user_count: int | None = None
    agent_answered: bool | None = None
    observe_time: datetime | None = None
    shortened: bool = False
