"""The log of the serial port of real guests."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from eventually import eventually
from integration.libvirt.guests import BOOT_SECONDS, Guests
from proad.drivers.libvirt import LibvirtDriver, serial_log
from proad.errors import CapabilityMissingError
from proad.model import (
    DomainXml,
    LogLine,
    LogOptions,
    LogOutput,
    Resource,
    StopMode,
    StopOptions,
)

pytestmark = pytest.mark.libvirt

FORCE = StopOptions(mode=StopMode.FORCE)


async def read(driver: LibvirtDriver, id: str, **options: Any) -> list[LogLine]:
    async with driver.read_log(id, LogOptions(**options)) as batches:
        return [line async for lines in batches for line in lines]


async def until(batches: AsyncIterator[Sequence[LogLine]], text: bytes) -> None:
    async with asyncio.timeout(BOOT_SECONDS):
        async for lines in batches:
            if any(text in line.data for line in lines):
                return
    raise AssertionError(f"the log ended before {text!r}")


def file_of(made: Resource) -> Path:
    return serial_log.path_of(made.id)


@pytest.fixture
async def blank(driver: LibvirtDriver, guests: Guests) -> Resource:
    """Return a domain that has never run."""
    return await driver.create_domain(guests.blank())


@pytest.fixture
def written(blank: Resource) -> Iterator[Path]:
    """Return the file of the log of a domain that has not run, to be written by the test."""
    file = file_of(blank)
    yield file
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


async def test_log_has_what_the_guest_writes_from_its_boot_to_its_end(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    assert any(b"READY" in line.data for line in await read(driver, guest.id))
    async with driver.read_log(guest.id, LogOptions(follow=True, tail=0)) as batches:
        await guests.says(guest.id, "echo mark-$((6*7))", b"mark-42")
        await until(batches, b"mark-42")
        await driver.stop(guest.id, FORCE)
        async with asyncio.timeout(30):
            async for _ in batches:
                pass

    lines = await read(driver, guest.id)
    assert not any(line.is_stderr or line.time or b"\r" in line.data for line in lines)
    assert any(b"mark-42" in line.data for line in lines)
    assert await read(driver, guest.id, tail=3) == lines[-3:]
    assert await read(driver, guest.id, follow=True) == lines

    await driver.delete(guest.id)

    async def deleted() -> bool:
        return not file_of(guest).exists()

    await eventually(deleted)


async def test_log_of_a_domain_that_never_ran_is_empty(driver: LibvirtDriver, blank: Resource):
    assert await read(driver, blank.id, follow=True) == []


async def test_log_of_a_domain_without_one_is_a_missing_capability(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank(serial_console=False))
    foreign = await driver.create_domain(guests.blank())
    root = etree.fromstring(await driver.get_domain_xml(foreign.id))
    for log in [*root.iter("log")]:
        log.set("file", "/var/log/libvirt/qemu/somebody-else.log")
    raw.defineXML(etree.tostring(root, encoding="unicode"))
    for domain in (made, foreign):
        with pytest.raises(CapabilityMissingError):
            await read(driver, domain.id)


@pytest.mark.parametrize("options", [{"timestamps": True}, {"since": 1}, {"until": 1}])
async def test_log_tells_no_times(driver: LibvirtDriver, blank: Resource, options: Any):
    with pytest.raises(CapabilityMissingError):
        await read(driver, blank.id, **options)


async def test_log_is_in_no_specification_and_no_copy_has_it(
    driver: LibvirtDriver, guests: Guests, blank: Resource
):
    found = await driver.get_resource(blank.id)
    assert found.domain is not None
    assert not [each for each in found.domain.spec_omits if "log" in each]
    xml = await driver.get_domain_xml(blank.id)
    assert f'<log file="{file_of(blank)}" append="on"/>' in xml.replace("'", '"')
    for document in await driver.domain_documents(blank.id):
        assert "<log" not in document.xml

    root = etree.fromstring(xml)
    for place in ("uuid", "devices/disk"):
        for each in root.findall(place):
            parent = each.getparent()
            assert parent is not None
            parent.remove(each)
    name = root.find("name")
    assert name is not None
    name.text = guests.blank().name
    copy = await driver.create_domain_from_xml(
        DomainXml(xml=etree.tostring(root, encoding="unicode")), start=False
    )
    assert str(file_of(blank)) not in await driver.get_domain_xml(copy.id)
    assert str(file_of(copy)) in await driver.get_domain_xml(copy.id)


async def test_log_of_several_files_is_read_in_order(
    driver: LibvirtDriver, blank: Resource, written: Path
):
    older = [written.with_name(f"{written.name}.{each}") for each in (1, 0)]
    for number, file in enumerate([*older, written]):
        file.write_bytes(
            b"".join(b"line %d\r\n" % (number * 10000 + each) for each in range(10000))
        )
    lines = await read(driver, blank.id)
    assert [line.data for line in lines] == [b"line %d" % each for each in range(30000)]
    assert [line.data for line in await read(driver, blank.id, tail=10001)] == [
        b"line %d" % each for each in range(19999, 30000)
    ]
    assert await read(driver, blank.id, tail=0) == []
    assert await read(driver, blank.id, output=LogOutput.STDERR) == []


async def test_log_that_is_hostile_comes_in_parts(
    driver: LibvirtDriver, blank: Resource, written: Path
):
    written.write_bytes(b"\x1b[2J" + b"x" * 100_000)
    lines = await read(driver, blank.id)
    assert all(line.partial and len(line.data) <= 16384 for line in lines)
    assert b"".join(line.data for line in lines) == b"\x1b[2J" + b"x" * 100_000
    written.write_bytes(b"\n" * 100_000)
    assert len(await read(driver, blank.id)) == 100_000


async def test_file_of_a_log_that_is_none_is_not_read(
    driver: LibvirtDriver, blank: Resource, written: Path, tmp_path: Path
):
    secret = tmp_path / "secret"
    secret.write_text("hush-hush\n")
    written.symlink_to(secret)
    with pytest.raises(CapabilityMissingError):
        await read(driver, blank.id)
    written.unlink()
    os.mkfifo(written)
    with pytest.raises(CapabilityMissingError):
        await read(driver, blank.id)
    written.unlink()
    written.mkdir()
    with pytest.raises(CapabilityMissingError):
        await read(driver, blank.id)
    written.rmdir()


async def test_log_that_is_followed_goes_on_in_the_next_file(driver: LibvirtDriver, guests: Guests):
    guest = await driver.create_domain(guests.blank(), start=True)
    file = file_of(guest)
    for number in range(3):
        # As virtlogd does when a file is full.
        older = file.with_name(f"{file.name}.{number}")
        if file.exists():
            file.rename(older)
        file.write_bytes(b"file %d\n" % number)
    async with driver.read_log(guest.id, LogOptions(follow=True)) as batches:
        await until(batches, b"file 2")
        with file.open("ab") as end:
            end.write(b"last of 2\n")
        file.rename(file.with_name(f"{file.name}.0"))
        file.write_bytes(b"file 3\n")
        await until(batches, b"file 3")


async def test_logs_leave_no_file_open(driver: LibvirtDriver, blank: Resource, written: Path):
    written.write_bytes(b"one\n" * 100)
    for _ in range(20):
        async with driver.read_log(blank.id, LogOptions(tail=1)) as batches:
            await anext(batches)
            assert str(written) in files_open()
    assert str(written) not in files_open()


def files_open() -> list[str]:
    """Return the files that this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one of this very look
            found.append(str(each.readlink()))
    return found
