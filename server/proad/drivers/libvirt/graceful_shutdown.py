"""Graceful shutdowns and reboots: ask the guest, and wait until it has followed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.errors import ENGINE, REFUSED
from proad.drivers.libvirt.events import DomainEvent, DomainEvents, EventKind
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.timing import ShutdownTiming
from proad.drivers.libvirt.transitions import resume_or_wake
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    ResourceNotFoundError,
    StopTimedOutError,
)
from proad.model import Resource, ResourceState, Verb, refusal
from proad.ports import OnStep

T = TypeVar("T")

AGENT = "guest agent"
POWER_BUTTON = "ACPI power button"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The domain of a graceful shutdown, as it was before the request.

    Attributes:
        resource: the domain.
        runtime_id: libvirt's number of this run; a later run has another one.
        agent: whether the guest agent is connected.
        test: whether this is libvirt's test hypervisor, which follows at once.
        restarts_on_poweroff: whether libvirt starts it again when its guest shuts down.
    """

    resource: Resource
    runtime_id: int
    agent: bool
    test: bool
    restarts_on_poweroff: bool = False


class GuestRequest(Protocol):
    """A request to a guest. Its methods run on the driver's threads.

    Attributes:
        polled_on: the bulkhead for `is_done`.
    """

    polled_on: Bulkhead

    def ask_agent(self, domain: libvirt.virDomain) -> None:
        """Send the request to the guest agent; may block for a minute."""

    def press_button(self, domain: libvirt.virDomain) -> None:
        """Send the request by ACPI."""

    def is_done(self, domain: libvirt.virDomain, observed: set[EventKind]) -> bool:
        """Return whether the guest has followed, by its state and the events since."""

    def is_done_when_gone(self) -> bool:
        """Return whether the disappearance of the domain means that the guest has followed."""


class ShutdownRequest:
    """The request to shut down.

    Args:
        target: the domain.
    """

    polled_on = Bulkhead.READ

    def __init__(self, target: Target) -> None:
        self._target = target

    def ask_agent(self, domain: libvirt.virDomain) -> None:
        """See `GuestRequest`."""
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)

    def press_button(self, domain: libvirt.virDomain) -> None:
        """See `GuestRequest`."""
        if self._target.test:  # knows no flags
            domain.shutdown()
        else:
            domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def is_done(self, domain: libvirt.virDomain, observed: set[EventKind]) -> bool:
        """See `GuestRequest`.

        Raises:
            CapabilityMissingError: the guest has shut down, and libvirt has booted it again.
        """
        if not domain.isActive() or domain.ID() != self._target.runtime_id:
            return True
        if self._target.restarts_on_poweroff and EventKind.REBOOT in observed:
            raise CapabilityMissingError(
                "a graceful stop of a domain with on_poweroff=restart in its XML; its guest shut "
                "down as it was asked to, and rebooted",
                driver=ENGINE,
                hint="use mode GRACEFUL_THEN_FORCE, which ends it at that moment, or FORCE; or "
                "change on_poweroff to destroy",
            )
        return False

    def is_done_when_gone(self) -> bool:
        """See `GuestRequest`."""
        return True


class RebootRequest:
    """The request to reboot.

    Args:
        target: the domain.
        reader: reads the domain if it was stopped meanwhile.
    """

    polled_on = Bulkhead.WORK  # may have to start the domain

    def __init__(self, target: Target, reader: DomainReader) -> None:
        self._target = target
        self._reader = reader
        self._asked = False

    def ask_agent(self, domain: libvirt.virDomain) -> None:
        """See `GuestRequest`."""
        domain.reboot(libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT)

    def press_button(self, domain: libvirt.virDomain) -> None:
        """See `GuestRequest`."""
        domain.reboot(libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN)
        self._asked = True

    def is_done(self, domain: libvirt.virDomain, observed: set[EventKind]) -> bool:
        """See `GuestRequest`."""
        state, reason = domain.state()
        if state == libvirt.VIR_DOMAIN_SHUTOFF:
            # A forced stop by somebody else is not to be undone.
            forced = reason != libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN
            if forced and (error := refusal(Verb.RESTART, self._reader.summary(domain))):
                raise error
            domain.create()  # configured not to restart on a reboot
            return True
        if state != libvirt.VIR_DOMAIN_RUNNING:
            return False
        if self._target.test:
            return self._asked
        return EventKind.REBOOT in observed or domain.ID() != self._target.runtime_id

    def is_done_when_gone(self) -> bool:
        """See `GuestRequest`."""
        return False


class GracefulShutdown:
    """Asks a guest by agent and then by power button, until it has followed.

    Args:
        connection: to libvirt.
        events: events of domains.
        timing: durations of requests and checks.
    """

    def __init__(
        self, connection: Connection, events: DomainEvents, timing: ShutdownTiming
    ) -> None:
        self._connection = connection
        self._events = events
        self._timing = timing

    async def run(
        self, target: Target, request: GuestRequest, grace: timedelta, on_step: OnStep
    ) -> None:
        """Send the request, and wait until the guest has followed.

        A QEMU that hangs counts as a guest that does not follow.

        Raises:
            StopTimedOutError: the guest has not followed within `grace`. Nothing was killed.
            CapabilityMissingError: the domain is configured never to follow.
        """
        clock = asyncio.get_running_loop().time
        deadline = press_at = clock()
        deadline += grace.total_seconds()
        asked: list[str] = []
        observed: set[EventKind] = set()
        with self._events.watch(target.resource.id) as events:
            if target.resource.state in {ResourceState.PAUSED, ResourceState.SUSPENDED}:
                # A paused guest notices no request.
                with _tolerate_busy_qemu():
                    await self._on(
                        target,
                        lambda domain: resume_or_wake(domain, target.resource),
                        timeout=max(self._timing.min_call_timeout, grace),
                    )
            if target.agent:
                on_step("asking the guest agent", None)
                asked.append(AGENT)
                if await self._ask_agent(
                    target, request, min(self._timing.agent_timeout, grace / 2)
                ):
                    press_at += self._timing.press_interval.total_seconds()
            while not await self._is_done(target, request, observed):
                # The button is pressed once, however short the grace period.
                in_time = clock() < deadline or POWER_BUTTON not in asked
                if clock() >= press_at and in_time:
                    patience = max(
                        self._timing.min_call_timeout, timedelta(seconds=deadline - clock())
                    )
                    await self._press(target, request, asked, observed, patience)
                    press_at = clock() + self._timing.press_interval.total_seconds()
                    left = max(round(deadline - clock()), 0)
                    on_step(f"{POWER_BUTTON} pressed, waiting up to {left} s", None)
                elif clock() >= deadline:
                    raise StopTimedOutError(target.resource.name, grace, asked=asked)
                else:
                    until = min(
                        press_at, deadline, clock() + self._timing.check_interval.total_seconds()
                    )
                    observed |= await _wait(events, until - clock())

    async def _press(
        self,
        target: Target,
        request: GuestRequest,
        asked: list[str],
        observed: set[EventKind],
        patience: timedelta,
    ) -> None:
        try:
            with _tolerate_busy_qemu():  # the press may take effect later
                await self._on(target, request.press_button, timeout=patience)
        except (*REFUSED, ResourceNotFoundError):
            # The guest may have followed a moment ago, or listens to the agent alone.
            if not asked and not await self._is_done(target, request, observed):
                raise
            return
        if POWER_BUTTON not in asked:
            asked.append(POWER_BUTTON)

    async def _ask_agent(self, target: Target, request: GuestRequest, patience: timedelta) -> bool:
        """Send the request to the agent; return whether the agent has accepted it.

        libvirt's own agent timeout is not changed: it would affect every other client of the
        domain.
        """
        with suppress(*REFUSED, EngineTimedOutError, ResourceNotFoundError):
            await self._on(target, request.ask_agent, bulkhead=Bulkhead.AGENT, timeout=patience)
            return True
        return False

    async def _is_done(
        self, target: Target, request: GuestRequest, observed: set[EventKind]
    ) -> bool:
        try:
            return await self._on(
                target,
                lambda domain: request.is_done(domain, observed),
                bulkhead=request.polled_on,
                timeout=self._timing.min_call_timeout,
            )
        except EngineTimedOutError:
            return False
        except ResourceNotFoundError:
            if not request.is_done_when_gone():
                raise
            return True

    async def _on(
        self,
        target: Target,
        act: Callable[[libvirt.virDomain], T],
        *,
        bulkhead: Bulkhead = Bulkhead.WORK,
        timeout: timedelta,  # noqa: ASYNC109 - handed on
    ) -> T:
        return await self._connection.on(
            target.resource.id, act, bulkhead=bulkhead, timeout=timeout
        )


@contextmanager
def _tolerate_busy_qemu() -> Iterator[None]:
    """Ignore the errors of a QEMU that is busy or hangs.

    libvirt itself gives up after half a minute if an earlier call waits for that QEMU.
    """
    try:
        yield
    except EngineTimedOutError:
        pass
    except EngineConflictError as error:
        if error.retry_after is None:
            raise


async def _wait(events: asyncio.Queue[DomainEvent], seconds: float) -> set[EventKind]:
    """Wait for an event; return the kinds of all events that have come by then."""
    kinds: set[EventKind] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0)):
            kinds.add((await events.get()).kind)
    while not events.empty():
        kinds.add(events.get_nowait().kind)
    return kinds
