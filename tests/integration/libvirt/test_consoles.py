"""The serial consoles of real guests, as callers are attached to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import libvirt
import pytest

from contract.consoles import Terminal
from eventually import eventually
from integration.libvirt.conftest import TIMING
from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.console.consoles import DomainConsole
from proad.drivers.libvirt.timing import ConsoleTiming
from proad.errors import (
    CapabilityMissingError,
    ConsoleTakenError,
    EngineTimedOutError,
    EngineUnreachableError,
    InUseError,
    ReaderTooSlowError,
)
from proad.model import ConsoleOptions, ResourceState
from proad.ports import Console

pytestmark = pytest.mark.libvirt

FORCE = ConsoleOptions(force=True)
# Input that a guest does not take is given up soon.
IMPATIENT = pytest.mark.parametrize(
    "timing",
    [replace(TIMING, console=ConsoleTiming(write=timedelta(seconds=2)))],
    ids=["impatient"],
)


async def flood(console: Console, pieces: int = 200) -> None:
    for _ in range(pieces):
        await console.write(b"x" * 2**16)


async def rest_of(console: Console) -> bytes:
    return b"".join([output.data async for output in console.output()])


@asynccontextmanager
async def outsider(raw: libvirt.virConnect, id: str) -> AsyncIterator[libvirt.virStream]:
    """Have the console by libvirt itself, as virsh console --force does."""
    stream = raw.newStream(libvirt.VIR_STREAM_NONBLOCK)
    raw.lookupByUUIDString(id).openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    try:
        yield stream
    finally:
        with suppress(libvirt.libvirtError):  # it was taken over
            stream.abort()


async def test_login_on_the_serial_console_and_again_after_detaching(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot_kernel("proa.login=on")
    async with driver.attach(guest.id) as console:
        terminal = Terminal(console)
        await terminal.press(b"\r", rb"login: ")
        await terminal.press(b"ann\r", rb"Password: ")
        await terminal.press(b"wrong\r", rb"Login incorrect")
        await terminal.press(b"\r", rb"login: ")
        await terminal.press(b"ann\r", rb"Password: ")
        await terminal.press(b"secret\r", rb"\$ ")
        await terminal.run(b"id -un", b"ann")
        await console.write(b"sleep 1000\r")
        await terminal.hear(rb"sleep 1000\r\n")
        await terminal.press(b"\x03", rb"\$ ")
        await terminal.run(b"echo code $?", b"code 130")
        await terminal.run(b"stty rows 33 cols 77; stty size", b"33 77")
        await console.write(b"MINE=kept\r")
    async with driver.attach(guest.id) as console:
        terminal = Terminal(console)
        await terminal.press(b"\r", rb"\$ ")
        await terminal.run(b"echo $MINE", b"kept")
        await console.write(b"exit\r")
        await terminal.press(b"\r", rb"login: ")


async def test_console_that_somebody_else_has_is_refused_and_taken_by_force(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    guest = await guests.boot()
    async with outsider(raw, guest.id):
        with pytest.raises(InUseError):
            async with driver.attach(guest.id):
                pytest.fail("it is attached")
        async with driver.attach(guest.id, FORCE) as console:
            terminal = Terminal(console)
            await terminal.shell()


async def test_console_that_somebody_else_takes_ends_with_an_error(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    guest = await guests.boot()
    async with driver.attach(guest.id) as console, outsider(raw, guest.id):
        await asyncio.wait_for(rest_of(console), 60)
        with pytest.raises(ConsoleTakenError):
            await console.exit()


async def test_guest_that_powers_off_ends_its_console(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    async with driver.attach(guest.id) as console:
        terminal = Terminal(console)
        await terminal.shell()
        await console.write(b"poweroff -f\r")
        await asyncio.wait_for(terminal.ended, 60)
        assert await console.exit() is None
    assert (await driver.get_resource(guest.id)).state is ResourceState.STOPPED


async def test_domain_without_a_serial_console_has_none(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(serial_console=False), start=True)
    with pytest.raises(CapabilityMissingError):
        async with driver.attach(made.id):
            pytest.fail("it is attached")


async def test_caller_who_does_not_read_is_put_out_and_the_guest_goes_on(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    async with driver.attach(guest.id) as console:
        terminal = Terminal(console)
        await terminal.shell()
        terminal.ended.cancel()
        assert isinstance(console, DomainConsole)
        line = console._line
        await console.write(b"touch /quiet; seq 1 300000; echo done >/dev/tty1; touch /done\r")

        async def overflowed() -> bool:
            return line.overflowed

        await eventually(overflowed, within=120)
        assert len(line._held) <= 2**20
        with pytest.raises(ReaderTooSlowError):
            await rest_of(console)
    async with driver.attach(guest.id) as console:
        terminal = Terminal(console)
        await terminal.shell()
        await terminal.press(
            b"while ! [ -e /done ]; do sleep 1; done; echo all of it\r", rb"\nall of it"
        )


@IMPATIENT
async def test_input_that_a_guest_does_not_take_is_given_up(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    async with driver.attach(guest.id) as console:
        await driver.pause(guest.id)
        with pytest.raises((EngineTimedOutError, EngineUnreachableError)):
            await flood(console)
    await driver.resume(guest.id)
    async with driver.attach(guest.id) as console:  # the one before has left nothing
        await Terminal(console).shell()


@pytest.mark.parametrize("pieces", [3, 12])  # libvirtd reads on, and does not
async def test_callers_whose_input_waits_leave_the_console_free(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, pieces: int
):
    guest = await guests.boot()
    for _ in range(5):
        async with driver.attach(guest.id) as console:
            await driver.pause(guest.id)
            writing = asyncio.create_task(flood(console, pieces))
            await asyncio.wait({writing}, timeout=1)
            writing.cancel()
        # libvirtd (9.0) crashed here where it had not noticed that the first one had gone.
        async with outsider(raw, guest.id):
            await driver.resume(guest.id)
    async with driver.attach(guest.id) as console:
        await Terminal(console).shell()


async def test_console_of_the_next_run_is_not_taken_from_its_caller(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    async with driver.attach(guest.id) as console:
        line = console._line  # type: ignore[attr-defined] # of one whose end was not seen
        run, line.runtime_id = line.runtime_id, line.runtime_id - 1
        await asyncio.to_thread(line.drop_input, driver._parts.consoles._connect)
        line.runtime_id = run
        await Terminal(console).shell()


async def test_consoles_leave_no_connection_open(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()

    async def attach() -> int:
        for _ in range(30):
            async with driver.attach(guest.id) as console:
                await anext(console.output())
                await console.write(b"\r")
        return len(list(Path("/proc/self/fd").iterdir()))

    first = await attach()  # each thread opens its own connection
    assert await attach() < first + 30
