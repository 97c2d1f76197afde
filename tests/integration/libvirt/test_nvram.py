"""The NVRAM of UEFI firmware is deleted with its domain, and with no other."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.xml.parser import parse
from proad.errors import InvalidArgumentError
from proad.model import (
    DeleteOptions,
    DomainXml,
    Firmware,
    Resource,
    StopMode,
    StopOptions,
)
from updating import domain_update

pytestmark = pytest.mark.libvirt

FORCE = StopOptions(mode=StopMode.FORCE)
MARK = b"what the guest has set"


def path_of(raw: libvirt.virConnect, id: str) -> Path:
    """Return the path of the variables of a running domain."""
    return Path(parse(raw.lookupByUUIDString(id).XMLDesc()).findtext("os/nvram", ""))


async def set_once(driver: LibvirtDriver, raw: libvirt.virConnect, id: str) -> Path:
    """Start and stop a domain, and write a mark into its NVRAM."""
    if not raw.lookupByUUIDString(id).isActive():
        await driver.start(id)
    path = path_of(raw, id)
    await driver.stop(id, FORCE)
    content = path.read_bytes()
    path.write_bytes(content[: -len(MARK)] + MARK)
    return path


def xml(name: str, nvram: str = "", id: str = "") -> str:
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{id or secrets.token_hex(16)}</uuid>"
        f"<memory unit='MiB'>64</memory><os firmware='efi'><type machine='q35'>hvm</type>{nvram}"
        "</os><features><acpi/></features></domain>"
    )


async def made(driver: LibvirtDriver, guests: Guests, how: str) -> Resource:
    if how == "typed":
        return await driver.create_domain(guests.blank(firmware=Firmware.UEFI))
    return await driver.create_domain_from_xml(DomainXml(xml=xml(f"{guests.prefix}-x")))


@pytest.mark.parametrize("how", ["typed", "xml", "earlier"])
async def test_rename_of_a_uefi_domain_keeps_its_variables(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, how: str
):
    if how == "earlier":  # as made by an older Proa or another tool
        domain = raw.defineXML(xml(f"{guests.prefix}-x"))
        id = domain.UUIDString()
    else:
        id = (await made(driver, guests, how)).id
    path = await set_once(driver, raw, id)
    assert (path.name == f"{id}_VARS.fd") is (how != "earlier")
    for name in ("-renamed", "-twice"):
        await driver.update(id, domain_update(name=f"{guests.prefix}{name}"))
        assert await set_once(driver, raw, id) == path
        assert path.read_bytes().endswith(MARK)
    await driver.delete(id)
    assert not path.exists()
    assert not [each for each in path.parent.iterdir() if each.name.startswith(guests.prefix)]


@pytest.mark.parametrize("keep_volumes", [False, True])
@pytest.mark.parametrize("first", ["owner", "other"])
async def test_delete_of_one_of_two_with_the_same_variables_keeps_them(
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    *,
    keep_volumes: bool,
    first: str,
):
    owner = await made(driver, guests, "typed")
    path = await set_once(driver, raw, owner.id)
    other = raw.defineXML(xml(f"{guests.prefix}-other", f"<nvram>{path}</nvram>"))
    ids = [owner.id, other.UUIDString()]
    if first == "other":
        ids.reverse()
    options = DeleteOptions(keep_volumes=keep_volumes)
    await driver.delete(ids[0], options)
    assert path.read_bytes().endswith(MARK)
    await driver.delete(ids[1], options)
    assert not path.exists()


async def test_delete_keeps_nvram_used_by_another_domain(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    domain = raw.defineXML(xml(f"{guests.prefix}-named"))
    path = await set_once(driver, raw, domain.UUIDString())
    assert path.name == f"{guests.prefix}-named_VARS.fd"
    text = xml(f"{guests.prefix}-other", f"<nvram>{path}</nvram>")
    other = await driver.create_domain_from_xml(DomainXml(xml=text))
    await driver.delete(other.id)
    assert path.read_bytes().endswith(MARK)
    await driver.delete(domain.UUIDString())
    assert not path.exists()


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    yield folder / "vars.fd"
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


async def test_delete_keeps_nvram_not_made_by_libvirt(
    elsewhere: Path, driver: LibvirtDriver, guests: Guests
):
    elsewhere.write_bytes(MARK)
    text = xml(f"{guests.prefix}-x", f"<nvram>{elsewhere}</nvram>")
    made = await driver.create_domain_from_xml(DomainXml(xml=text))
    await driver.delete(made.id)
    assert elsewhere.read_bytes() == MARK


async def test_create_domain_when_failed_keeps_existing_nvram(
    elsewhere: Path, driver: LibvirtDriver, guests: Guests
):
    elsewhere.write_bytes(MARK)
    text = xml(f"{guests.prefix}-x", f"<nvram>{elsewhere}</nvram>").replace(
        "</domain>",
        "<devices><interface type='network'><source network='proa-test-none'/></interface>"
        "</devices></domain>",
    )
    with pytest.raises(InvalidArgumentError):
        await driver.create_domain_from_xml(DomainXml(xml=text), start=True)
    assert elsewhere.read_bytes() == MARK
    assert await guests.domains() == set()
