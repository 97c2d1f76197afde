"""What resources say of themselves, for the FULL view: bounded, and not believed.

What is found here is added to a view that is on its way to a caller, and to nothing else: no view
of the inventory has it, so that nothing that decides sees it.
"""

import ipaddress
import re
from contextlib import suppress
from dataclasses import fields, replace
from typing import TypeVar

from proad.core.engine_connection import EngineConnection
from proad.core.harmless import harmless
from proad.core.kept_with import KeptWith
from proad.core.shared_reads import SharedReads, SharedReadTiming
from proad.model import (
    Container,
    Domain,
    GuestInfo,
    GuestInterface,
    GuestUser,
    OperatingSystem,
    Resource,
    ResourceState,
)
from proad.ports import Guests

T = TypeVar("T")

TIMING = SharedReadTiming(patience=1.0, limit=15.0, good_for=60.0, retry_after=60.0, held=60.0)
"""A run of a domain is asked once a minute, whatever comes of it."""

_MOST_KEPT = 2048
_LONGEST_TEXT = 255
_LONGEST_NAME = 64
_MOST_INTERFACES = 16
_MOST_ADDRESSES = 8
_MOST_USERS = 32
_MOST_LOOKED_AT = 64
_INT32 = 2**31 - 1
_MAC_ADDRESS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5,19}")  # as long as one of InfiniBand


class GuestInfos:
    """Knows what resources say of themselves, and asks the guest agents of domains.

    Args:
        timing: durations.
    """

    def __init__(self, timing: SharedReadTiming = TIMING) -> None:
        self._told: SharedReads[GuestInfo] = SharedReads("question to a guest", timing, _MOST_KEPT)
        self._set_up: KeptWith[GuestInfo] = KeptWith()

    async def of(self, connection: EngineConnection, view: Resource) -> GuestInfo | None:
        """Return what is known of the inside of a resource, by its FULL view; None: it does not run."""
        if (set_up := self._set_up.get(view)) is None:
            if (set_up := _set_up(view)) is None:
                return None
            self._set_up.put(view, set_up)
        told = None if view.domain is None else await self._ask(connection, view, view.domain)
        if told is None:
            return set_up
        return told if told.interfaces else replace(told, interfaces=set_up.interfaces)

    async def _ask(
        self, connection: EngineConnection, view: Resource, domain: Domain
    ) -> GuestInfo | None:
        """Return what the agent of a domain says, or said less than a minute ago."""
        driver, run = connection.driver, domain.runtime_id
        if not domain.guest_agent_connected or not isinstance(driver, Guests):
            return None
        if view.state is not ResourceState.RUNNING:
            return self._told.known(view.path, run)

        async def ask() -> GuestInfo:
            return bounded(await driver.ask_guest(view.id))

        return await self._told.get(view.path, run, ask)


def _set_up(view: Resource) -> GuestInfo | None:
    """Return what its engine tells of the inside of a resource; None: it does not run."""
    if view.container is not None and view.container.pid:
        return _of_container(view.container)
    if view.domain is not None and view.domain.runtime_id:
        return _of_domain(view.domain)
    return None


def _of_container(container: Container) -> GuestInfo:
    """Return what Docker set up for a container."""
    interfaces = (
        GuestInterface(
            mac_address=each.mac_address,
            addresses=tuple(filter(None, (each.ipv4_address, each.ipv6_address))),
        )
        for each in container.networks
    )
    return bounded(GuestInfo(hostname=container.hostname, interfaces=tuple(interfaces)))


def _of_domain(domain: Domain) -> GuestInfo:
    """Return what libvirt has leased to a domain."""
    interfaces = (
        GuestInterface(mac_address=each.mac_address, addresses=each.addresses)
        for each in domain.networks
    )
    return bounded(GuestInfo(interfaces=tuple(interfaces)))


def bounded(info: GuestInfo) -> GuestInfo:
    """Return what was told within the limits of the contract, without what is malformed."""
    return _Bounds().applied(info)


class _Bounds:
    """Holds one answer within its limits, and knows whether something was cut off."""

    def __init__(self) -> None:
        self._cut = False

    def applied(self, info: GuestInfo) -> GuestInfo:
        system = info.operating_system
        held = replace(
            info,
            hostname=self._text(info.hostname),
            operating_system=None if system is None else self._system(system),
            interfaces=self._interfaces(info.interfaces),
            users=self._users(info.users),
            user_count=None if info.user_count is None else min(info.user_count, _INT32),
        )
        return replace(held, shortened=info.shortened or self._cut)

    def _text(self, text: str, longest: int = _LONGEST_TEXT) -> str:
        self._cut |= len(text) > longest
        return harmless(text[:longest]).replace("\t", " ")

    def _system(self, system: OperatingSystem) -> OperatingSystem | None:
        texts = {each.name: self._text(getattr(system, each.name)) for each in fields(system)}
        return OperatingSystem(**texts) if any(texts.values()) else None

    def _some(self, told: tuple[T, ...]) -> tuple[T, ...]:
        """Return as many items as are looked at, since most may be left out."""
        self._cut |= len(told) > _MOST_LOOKED_AT
        return told[:_MOST_LOOKED_AT]

    def _interfaces(self, told: tuple[GuestInterface, ...]) -> tuple[GuestInterface, ...]:
        found: list[GuestInterface] = []
        for each in self._some(told):
            mac_address = each.mac_address.lower()
            if not _MAC_ADDRESS.fullmatch(mac_address) or not mac_address.strip("0:"):
                mac_address = ""
            addresses = self._addresses(each.addresses)
            if not addresses and not mac_address:
                continue
            if len(found) == _MOST_INTERFACES:
                self._cut = True
                break
            name = self._text(each.name, _LONGEST_NAME)
            found.append(GuestInterface(name=name, mac_address=mac_address, addresses=addresses))
        return tuple(found)

    def _addresses(self, told: tuple[str, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for each in self._some(told):
            if (address := _address(each)) is None:
                continue
            if len(found) == _MOST_ADDRESSES:
                self._cut = True
                break
            found.append(address)
        return tuple(found)

    def _users(self, told: tuple[GuestUser, ...]) -> tuple[GuestUser, ...]:
        self._cut |= len(told) > _MOST_USERS
        return tuple(
            GuestUser(
                name=self._text(each.name, _LONGEST_NAME),
                domain=self._text(each.domain, _LONGEST_NAME),
                login_time=each.login_time,
            )
            for each in told[:_MOST_USERS]
            if each.name
        )


def _address(text: str) -> str | None:
    """Return an address as it is commonly written; None: it is none, or one of a loopback."""
    if len(text) > _LONGEST_NAME:
        return None
    address, _, prefix = text.partition("/")
    with suppress(ValueError):
        found = ipaddress.ip_address(address.partition("%")[0])
        if found.is_loopback:
            return None
        return str(ipaddress.ip_interface(f"{found}/{int(prefix)}")) if prefix else str(found)
    return None
