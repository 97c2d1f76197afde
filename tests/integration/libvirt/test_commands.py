"""Commands that the agent of a real guest runs."""

import asyncio
import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from eventually import consistently, eventually
from integration.libvirt.conftest import TIMING
from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import AgentTiming
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    InvalidArgumentError,
)
from proad.model import CommandExit, CommandSpec, CommandStreams, TerminalSize
from proad.ports import RunningCommand

pytestmark = pytest.mark.libvirt

# An agent that does not answer is given up soon.
IMPATIENT = pytest.mark.parametrize(
    "timing",
    [replace(TIMING, agent=AgentTiming(answer=timedelta(seconds=2)))],
    ids=["impatient"],
)


def begin(driver: LibvirtDriver, id: str, *argv: str, **how: Any):
    streams = {name: how.pop(name) for name in tuple(how) if name in {"input", "detach"}}
    spec = CommandSpec(argv=argv, **how)
    return driver.start_command(id, spec, CommandStreams(**streams))


async def result_of(command: RunningCommand) -> tuple[CommandExit, bytes, bytes]:
    said = {False: bytearray(), True: bytearray()}
    async for piece in command.output():
        said[piece.is_stderr] += piece.data
    return await command.exit(), bytes(said[False]), bytes(said[True])


async def run(
    driver: LibvirtDriver, id: str, *argv: str, **how: Any
) -> tuple[CommandExit, bytes, bytes]:
    async with begin(driver, id, *argv, **how) as command:
        return await result_of(command)


async def sh(driver: LibvirtDriver, id: str, script: str, **how: Any) -> bytes:
    exit, out, err = await run(driver, id, "sh", "-c", script, **how)
    assert exit == CommandExit(code=0), (out, err)
    return out


async def nothing_is_left(driver: LibvirtDriver, id: str) -> None:
    """Wait until the one folder of output in the guest is that of the command which looks."""

    async def alone() -> bool:
        return len((await sh(driver, id, "ls -A /tmp")).splitlines()) == 1

    await eventually(alone)


@pytest.mark.timeout(400)  # emulated, on a machine that may be busy
async def test_output_of_fifty_megabytes_is_whole(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot(memory_bytes=400 * MIB)
    script = "head -c 50000000 /dev/urandom >/big; sha256sum </big >&2; cat /big"
    here, said, size = hashlib.sha256(), b"", 0
    async with begin(driver, guest.id, "sh", "-c", script) as command:
        async for piece in command.output():
            if piece.is_stderr:
                said += piece.data
            else:
                here.update(piece.data)
                size += len(piece.data)
        assert await command.exit() == CommandExit(code=0)
    assert size == 50_000_000
    assert said.split()[0].decode() == here.hexdigest()
    await nothing_is_left(driver, guest.id)


async def test_files_in_the_guest_are_private_and_removed(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    id = guest.id
    modes = (await sh(driver, id, "umask; stat -c %a /tmp/.proa-*")).split()
    assert modes == [b"0022", b"700"]
    assert await run(driver, id, "sh", "-c", "kill -9 $$") == (
        CommandExit(signal="SIGKILL"),
        b"",
        b"",
    )
    with pytest.raises(InvalidArgumentError):
        await run(driver, id, "no-such-program", input=bytes(100_000))
    with pytest.raises(ZeroDivisionError):
        async with begin(driver, id, "cat", input=bytes(100_000)):
            raise ZeroDivisionError
    async with begin(driver, id, "sleep", "1000", detach=True):
        pass
    async with asyncio.timeout(30):
        async with begin(driver, id, "sh", "-c", "seq 1000000; sleep 1000") as command:
            async for _ in command.output():
                break
    await nothing_is_left(driver, id)


async def test_values_of_the_environment_are_no_arguments(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    secret = {"PASSWORD": "hush-hush", "PATH": "/bin:/nowhere"}
    all_arguments = "cat /proc/[0-9]*/cmdline; echo $PASSWORD"
    said = await sh(driver, guest.id, all_arguments, env=secret)
    assert said.count(b"hush-hush") == 1


async def test_command_outlives_a_pause_of_its_guest(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    script = "for each in $(seq 100); do echo $each; sleep 0.02; done"
    async with begin(driver, guest.id, "sh", "-c", script) as command:
        whole = asyncio.create_task(result_of(command))
        for _ in range(3):
            await driver.pause(guest.id)
            await consistently(lambda: not whole.done(), during=0.7)  # more than one look
            await driver.resume(guest.id)
        exit, out, err = await whole
    assert (exit, err) == (CommandExit(code=0), b"")
    assert out == b"".join(b"%d\n" % each for each in range(1, 101))


async def test_command_left_in_a_paused_guest_is_killed_once_it_goes_on(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    async with begin(driver, guest.id, "sleep", "4321"):
        await driver.pause(guest.id)
    await driver.resume(guest.id)

    async def is_gone() -> bool:
        return b"4321" not in (await run(driver, guest.id, "ps"))[1]

    await eventually(is_gone)
    await nothing_is_left(driver, guest.id)


async def test_reader_that_stalls_gets_all_output(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    async with begin(driver, guest.id, "seq", "300000") as command:
        # It ends though nobody reads.
        assert await command.exit() == CommandExit(code=0)
        _, out, _ = await result_of(command)
    assert out == b"".join(b"%d\n" % each for each in range(1, 300_001))


@pytest.mark.parametrize(
    ("field", "spec", "streams"),
    [
        ("start.tty", {}, {"tty": True}),
        ("start.size", {}, {"size": TerminalSize(rows=5, columns=5)}),
        ("start.stdin", {}, {"stdin": True}),
        ("command.working_dir", {"working_dir": "/"}, {}),
        ("command.user", {"user": "root"}, {}),
    ],
)
async def test_what_no_agent_has_is_missing_capability(
    driver: LibvirtDriver, field: str, spec: dict[str, Any], streams: dict[str, Any]
):
    wanted = CommandSpec(argv=("true",), **spec)
    with pytest.raises(CapabilityMissingError, match=rf"leave {re.escape(field)} out"):
        async with driver.start_command("any", wanted, CommandStreams(**streams)):
            pass


async def test_command_without_agent_is_missing_capability(driver: LibvirtDriver, guests: Guests):
    blank = await driver.create_domain(guests.blank(), start=True)
    with pytest.raises(CapabilityMissingError, match="qemu-guest-agent"):
        await run(driver, blank.id, "true")


async def test_command_too_long_for_the_agent_is_refused(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    for how in ({"env": {"A": "x" * 30_000, "B": "x" * 30_000, "C": "x" * 30_000}}, {}):
        with pytest.raises(InvalidArgumentError, match="longer"):
            await run(driver, guest.id, "echo", *(["x" * 30_000] * (1 if how else 4)), **how)
    assert await sh(driver, guest.id, "echo fine") == b"fine\n"


async def test_guest_without_shell_has_bounded_output(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    id = guest.id
    await guests.says(id, "mv /bin/sh /bin/away; echo mov''ed", rb"moved")
    async with begin(driver, id, "cat", input=b"in\n") as command:
        assert not command.can_signal
        assert await result_of(command) == (CommandExit(code=0), b"in\n", b"")
    assert (await run(driver, id, "ls", "/nowhere"))[0] == CommandExit(code=1)
    with pytest.raises(InvalidArgumentError):
        await run(driver, id, "no-such-program")
    with pytest.raises(CapabilityMissingError, match="timeout"):
        await run(driver, id, "true", timeout=timedelta(minutes=1))
    with pytest.raises(CapabilityMissingError, match="env"):
        await run(driver, id, "true", env={"A": "1"})
    with pytest.raises(EngineConflictError):
        await run(driver, id, "seq", "800000")
    _, out, _ = await run(driver, id, "seq", "100000")
    assert out == b"".join(b"%d\n" % each for each in range(1, 100_001))


@IMPATIENT
async def test_agent_that_hangs_delays_nobody_else(driver: LibvirtDriver, guests: Guests):
    dead, other = await asyncio.gather(guests.boot("guest-deadagent.iso"), guests.boot())
    await run(driver, other.id, "true")
    waiting = [asyncio.create_task(run(driver, dead.id, "true")) for _ in range(8)]
    for _ in range(3):
        await run(driver, other.id, "true")
    assert not all(each.done() for each in waiting)
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(error, EngineTimedOutError)


@IMPATIENT
async def test_agent_that_hangs_under_way_ends_the_commands(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    agent = (await sh(driver, guest.id, "pidof qemu-ga")).decode().strip()
    async with begin(driver, guest.id, "sleep", "1000") as command:
        await guests.says(guest.id, f"kill -STOP {agent}; echo stop''ped", rb"stopped")
        with pytest.raises(EngineTimedOutError):
            await result_of(command)
    await guests.says(guest.id, f"kill -CONT {agent}; echo contin''ued", rb"continued")

    async def answers() -> bool:
        try:
            return bool(await sh(driver, guest.id, "echo fine"))
        except EngineTimedOutError:
            return False

    await eventually(answers)


async def test_guest_that_is_reset_ends_the_commands(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    async with begin(driver, guest.id, "sleep", "1000") as command:
        guests.raw.lookupByUUIDString(guest.id).reset()
        with pytest.raises((EngineConflictError, EngineTimedOutError)):
            await result_of(command)
    await guests.ready(guest.id)


async def test_command_of_a_guest_that_was_reverted_kills_nobody_else(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    other = await sh(driver, guest.id, "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
    async with begin(driver, guest.id, "sleep", "1000") as command:
        # As in the state before the command, in which the agent knows nothing of it.
        await sh(driver, guest.id, f"rm -r {command.folder}")
        command.pid = int(other)
        with pytest.raises(EngineConflictError, match="forgotten"):
            await result_of(command)
    await sh(driver, guest.id, f"kill -0 {int(other)}")


async def test_guest_that_is_stopped_ends_the_commands(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    async with begin(driver, guest.id, "sleep", "1000") as command:
        guests.raw.lookupByUUIDString(guest.id).destroy()
        with pytest.raises(EngineConflictError):
            await result_of(command)
