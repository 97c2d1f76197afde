"""Domain XML from callers: libvirt reads exactly the checked XML, and runs nothing of it."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import libvirt
import pytest

from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import (
    AlreadyExistsError,
    EngineConflictError,
    ProaError,
)
from proad.model import DomainXml
from resource_details import domain_spec_of

pytestmark = pytest.mark.libvirt


def domain_xml(name: str, *, more: str = "", uuid: str = "") -> str:
    return (
        f"<domain type='qemu'><name>{name}</name>{f'<uuid>{uuid}</uuid>' if uuid else ''}"
        f"<memory>32768</memory><os><type arch='x86_64'>hvm</type></os>{more}</domain>"
    )


async def test_create_from_xml_with_xinclude_includes_nothing(
    driver: LibvirtDriver, guests: Guests, folder: Path
):
    part = folder / f"part-{secrets.token_hex(4)}"
    part.write_text("<description>included</description>")
    include = (
        f"<metadata><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{part}'/>"
        "</metadata>"
    )
    try:
        made = await driver.create_domain_from_xml(
            DomainXml(xml=domain_xml(f"{guests.prefix}-x", more=include))
        )
        assert "included" not in await driver.get_domain_xml(made.id)
    finally:
        part.unlink()


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "UTF-7", "nonsense"])
async def test_create_from_xml_with_a_declared_encoding_ignores_the_declaration(
    driver: LibvirtDriver, guests: Guests, encoding: str
):
    xml = f"<?xml version='1.0' encoding='{encoding}'?>" + domain_xml(
        f"{guests.prefix}-x", more="<title>Grüße</title>"
    )
    made = await driver.create_domain_from_xml(DomainXml(xml=xml))
    assert (made.name, domain_spec_of(made).title) == (f"{guests.prefix}-x", "Grüße")


Overtake = Callable[[Callable[[str], object]], None]
# Found missing when the domain is started.
MISSING = (
    "<devices><interface type='network'><source network='proa-test-none'/></interface></devices>"
)


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> Overtake:
    """Let another client act on a domain in the moment after it was defined."""
    define = libvirt.virConnect.defineXMLFlags

    def overtake(act: Callable[[str], object]) -> None:
        def defining(connection: libvirt.virConnect, xml: str, flags: int) -> libvirt.virDomain:
            domain = define(connection, xml, flags)
            act(domain.UUIDString())
            return domain

        monkeypatch.setattr(libvirt.virConnect, "defineXMLFlags", defining)

    return overtake


class Rival:
    """Another client that keeps defining a domain of the same name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept = 0
        self.lost: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = libvirt.open("qemu:///system")
        while not self._stop.is_set():
            try:
                mine = connection.defineXML(domain_xml(self.name, more="<title>rival</title>"))
            except libvirt.libvirtError:
                continue  # the name is ours at the moment
            for _ in range(3):
                if "rival" not in mine.XMLDesc():
                    self.lost.append("changed")
            try:
                mine.undefine()
            except libvirt.libvirtError as error:
                self.lost.append(str(error))
            self.kept += 1
        connection.close()


async def test_create_from_xml_racing_for_a_name_never_changes_the_rival(
    driver: LibvirtDriver, guests: Guests
):
    name = f"{guests.prefix}-x"
    ours = 0
    with Rival(name) as rival:
        async with asyncio.timeout(120):
            while rival.kept < 20 or ours < 20:
                try:
                    made = await driver.create_domain_from_xml(DomainXml(xml=domain_xml(name)))
                except (AlreadyExistsError, EngineConflictError):
                    continue  # the other has it, or had it a moment ago
                await driver.delete(made.id)
                ours += 1
    assert rival.lost == []


async def test_rollback_keeps_externally_redefined_domain(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, overtaken: Overtake
):
    name = f"{guests.prefix}-x"
    rival = f"<title>rival</title>{MISSING}"
    overtaken(lambda id: raw.defineXML(domain_xml(name, uuid=id, more=rival)))
    with pytest.raises(ProaError):
        await driver.create_domain_from_xml(
            DomainXml(xml=domain_xml(name, more=MISSING)), start=True
        )
    theirs = raw.lookupByName(name)
    assert "rival" in theirs.XMLDesc()
    theirs.undefine()


async def test_rollback_keeps_externally_started_domain(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, overtaken: Overtake
):
    name = f"{guests.prefix}-x"
    overtaken(lambda id: raw.lookupByUUIDString(id).create())
    with pytest.raises(ProaError):
        await driver.create_domain_from_xml(DomainXml(xml=domain_xml(name)), start=True)
    theirs = raw.lookupByName(name)
    assert theirs.isActive()
    assert theirs.isPersistent()
    theirs.destroy()
    theirs.undefine()


async def test_create_from_xml_with_invisible_blank_succeeds(driver: LibvirtDriver, guests: Guests):
    xml = domain_xml(f"{guests.prefix}-x").replace("<memory", "\u200b<memory")
    made = await driver.create_domain_from_xml(DomainXml(xml=xml))
    assert "\u200b" not in await driver.get_domain_xml(made.id)
