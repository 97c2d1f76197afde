"""Guests whose agent, or whose QEMU, refuses what it is asked."""

from datetime import timedelta
from typing import Any

import libvirt
import pytest

from proad.drivers.libvirt.errors import translate
from proad.drivers.libvirt.events import DomainEvents
from proad.drivers.libvirt.graceful_shutdown import (
    AGENT,
    POWER_BUTTON,
    GracefulShutdown,
    ShutdownRequest,
    Target,
)
from proad.drivers.libvirt.timing import ShutdownTiming
from proad.errors import StopTimedOutError
from proad.model import Resource, ResourceKind, ResourceState

RUNNING = Resource(
    id="11111111-2222-4333-8444-555555555555",
    kind=ResourceKind.DOMAIN,
    name="vm",
    state=ResourceState.RUNNING,
)
# libvirt's number, its source, and its text, or what a guest's agent answers.
REFUSALS = [
    (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, "QEMU guest agent is not connected"),
    (libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured"),
    (libvirt.VIR_ERR_INTERNAL_ERROR, "guest agent: shutdown: No space left on device"),
]


class Refusing:
    """A running domain whose agent, or whose power button, does not do what it is to do."""

    def __init__(self, flag: int, code: int, text: str) -> None:
        self._flag = flag
        self._error = libvirt.libvirtError("call failed")
        self._error.err = (code, libvirt.VIR_FROM_QEMU, text, 2, "", "", "", 0, 0)
        self._runs = True

    def shutdownFlags(self, flag: int) -> None:  # noqa: N802 - libvirt's name
        if flag == self._flag:
            raise self._error
        self._runs = False

    def isActive(self) -> bool:  # noqa: N802 - libvirt's name
        return self._runs

    def ID(self) -> int:  # noqa: N802 - libvirt's name
        return 7


class Connected:
    """A connection on which each call is made at once."""

    def __init__(self, domain: Refusing) -> None:
        self._domain = domain

    async def on(self, id, act, **_patience):
        try:
            return act(self._domain)
        except libvirt.libvirtError as error:
            raise translate(error, alive=True, id=id) from None


async def run_shutdown(domain: Refusing, grace: timedelta) -> list[str]:
    target = Target(resource=RUNNING, runtime_id=7, agent=True, test=False)
    steps: list[str] = []
    connection: Any = Connected(domain)
    shutdown = GracefulShutdown(connection, DomainEvents(), ShutdownTiming())
    await shutdown.run(target, ShutdownRequest(target), grace, lambda step, _: steps.append(step))
    return steps


@pytest.mark.parametrize(("code", "text"), REFUSALS)
async def test_graceful_shutdown_with_an_agent_that_refuses_presses_the_button(
    code: int, text: str
):
    domain = Refusing(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT, code, text)
    asked, pressed = await run_shutdown(domain, timedelta(seconds=60))
    assert asked == f"asking the {AGENT}"
    assert pressed.startswith(POWER_BUTTON)


class Deaf(Refusing):
    """One that hears its agent, and does nothing."""

    def isActive(self) -> bool:  # noqa: N802 - libvirt's name
        return True


@pytest.mark.parametrize(("code", "text"), REFUSALS)
async def test_graceful_shutdown_with_a_button_that_is_refused_waits_for_what_the_agent_was_asked(
    code: int, text: str
):
    domain = Deaf(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN, code, text)
    with pytest.raises(StopTimedOutError):
        await run_shutdown(domain, timedelta())
