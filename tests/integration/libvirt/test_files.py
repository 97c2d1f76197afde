"""Files inside a real guest: their bytes, what is left of them, and what their agent may do."""

import asyncio
import hashlib
import os

import pytest

from eventually import eventually
from integration.libvirt.guests import MIB, Guests
from integration.libvirt.test_commands import IMPATIENT, sh
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    FileNotFoundInsideError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import FileInfo, FileRead, FileType, FileWrite, pieces

pytestmark = pytest.mark.libvirt

LARGE = 50_000_000


async def write(driver: LibvirtDriver, id: str, path: str, data: bytes) -> None:
    what = FileWrite(path=path, size_bytes=len(data), overwrite=True)
    async with driver.write_file(id, what) as writer:
        for piece in pieces(data):
            await writer.write(piece)
        await writer.commit()


async def read(driver: LibvirtDriver, id: str, path: str) -> tuple[FileInfo, bytes]:
    async with driver.read_file(id, FileRead(path=path)) as reader:
        return reader.info, b"".join([piece async for piece in reader.data()])


async def handles(driver: LibvirtDriver, id: str) -> list[bytes]:
    """Return what the agent has open, but for the output of the command that looks."""
    look = "for each in /proc/$(pidof qemu-ga)/fd/*; do readlink $each; done; true"
    said = await sh(driver, id, look)  # one may be closed meanwhile
    return [line for line in said.splitlines() if b".proa-" not in line or b"/d/" in line]


async def nothing_is_left(driver: LibvirtDriver, id: str) -> None:
    """Wait until the agent has none of the files in /d open, nor are there others than named so."""

    async def alone() -> bool:
        opened = any(b"/d/" in line for line in await handles(driver, id))
        return not opened and b".proa-" not in await sh(driver, id, "ls -A /d")

    await eventually(alone)


@pytest.mark.timeout(400)  # emulated, on a machine that may be busy
async def test_50_mb_come_out_byte_by_byte(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot(memory_bytes=400 * MIB)
    script = f"mkdir /d; head -c {LARGE} /dev/urandom >/d/big; sha256sum </d/big"
    said = await sh(driver, guest.id, script)
    here, size = hashlib.sha256(), 0
    async with driver.read_file(guest.id, FileRead(path="/d/big")) as reader:
        async for piece in reader.data():
            here.update(piece)
            size += len(piece)
    assert (size, here.hexdigest()) == (LARGE, said.split()[0].decode())
    await nothing_is_left(driver, guest.id)


@pytest.mark.timeout(400)
async def test_10_mb_go_in_byte_by_byte(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot(memory_bytes=400 * MIB)
    await sh(driver, guest.id, "mkdir /d")
    data = os.urandom(10_000_000)
    await write(driver, guest.id, "/d/big", data)
    said = await sh(driver, guest.id, "sha256sum </d/big")
    assert said.split()[0].decode() == hashlib.sha256(data).hexdigest()
    await nothing_is_left(driver, guest.id)


async def test_callers_who_go_away_leave_nothing(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await sh(driver, guest.id, "mkdir /d; head -c 5000000 /dev/zero >/d/file")

    async def reads() -> None:
        await read(driver, guest.id, "/d/file")

    async def writes() -> None:
        await write(driver, guest.id, "/d/file", bytes(20_000_000))

    for call in (reads, writes):
        for after in (0.01, 0.1, 0.3, 1.0):
            task = asyncio.create_task(call())
            await asyncio.wait({task}, timeout=after)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await nothing_is_left(driver, guest.id)
    assert await sh(driver, guest.id, "stat -c %s /d/file") == b"5000000\n"


async def test_links_and_special_files(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await sh(
        driver,
        guest.id,
        "mkdir /d; cd /d; echo one >file; ln -s file link; ln -s link chain; ln -s gone broken;"
        "ln -s /d folder; mkfifo pipe; ln -s loop loop",
    )
    assert (await read(driver, guest.id, "/d/chain"))[1] == b"one\n"
    await write(driver, guest.id, "/d/folder/chain", b"two\n")
    await write(driver, guest.id, "/d/broken", b"new\n")
    assert (
        await sh(driver, guest.id, "cd /d && cat file gone && readlink link") == b"two\nnew\nfile\n"
    )
    link = await driver.stat_file(guest.id, "/d/link")
    assert (link.type, link.link_target) == (FileType.SYMLINK, "file")
    for name in ("pipe", "folder", "."):
        with pytest.raises(InvalidArgumentError):
            await read(driver, guest.id, f"/d/{name}")
    with pytest.raises(FileNotFoundInsideError):
        await read(driver, guest.id, "/d/loop")
    with pytest.raises(ProaError):
        await write(driver, guest.id, "/d/loop", b"")
    await nothing_is_left(driver, guest.id)


async def test_names_that_are_no_text(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await sh(driver, guest.id, r"mkdir /d; cd /d; touch $'\xff' $'a\nb' -- -n; ln -s $'\xff' link")
    found = {each.key async for each in driver.list_files(guest.id, "/d")}
    assert found == {b"\xff", b"a\nb", b"-n", b"link"}
    with pytest.raises(EngineConflictError):
        await write(driver, guest.id, "/d/link", b"")
    assert (await read(driver, guest.id, "/d/a\nb"))[1] == b""


async def test_files_of_the_kernel_are_read(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    for path in ("/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/cpuinfo"):
        info, data = await read(driver, guest.id, path)
        assert info.type is FileType.REGULAR
        assert data == await sh(driver, guest.id, f"cat {path}")


async def test_guest_without_room_keeps_what_was_there(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await sh(driver, guest.id, "mkdir /d; mount -t tmpfs -o size=1m none /d; echo old >/d/file")
    with pytest.raises(EngineConflictError):
        await write(driver, guest.id, "/d/file", bytes(3_000_000))
    assert await sh(driver, guest.id, "cat /d/file") == b"old\n"
    await nothing_is_left(driver, guest.id)
    await sh(driver, guest.id, "mount -o remount,ro /d")
    with pytest.raises(EngineConflictError, match="ead-only"):
        await write(driver, guest.id, "/d/file", b"new")


async def test_guest_without_shell_has_no_files(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await guests.says(guest.id, "mv /bin/sh /bin/away; echo mov''ed", rb"moved")
    with pytest.raises(CapabilityMissingError):
        await driver.stat_file(guest.id, "/")
    with pytest.raises(CapabilityMissingError):
        await read(driver, guest.id, "/etc/passwd")
    with pytest.raises(CapabilityMissingError):
        await write(driver, guest.id, "/file", b"")


@IMPATIENT
async def test_agent_that_hangs_ends_the_call(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await sh(driver, guest.id, "mkdir /d; head -c 5000000 /dev/zero >/d/file")
    agent = (await sh(driver, guest.id, "pidof qemu-ga")).decode().strip()
    async with driver.read_file(guest.id, FileRead(path="/d/file")) as reader:
        pieces = reader.data()
        await anext(pieces)
        await guests.says(guest.id, f"kill -STOP {agent}; echo stop''ped", rb"stopped")
        with pytest.raises(EngineTimedOutError):
            async for _ in pieces:
                pass


async def test_list_does_not_show_what_is_there_for_the_list_alone(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    await sh(driver, guest.id, "touch /tmp/.proa-of-others")

    async def alone() -> bool:
        found = [each.name async for each in driver.list_files(guest.id, "/tmp")]
        return found == [".proa-of-others"]

    await eventually(alone)  # what the command had there goes after its end
