"""Hostile domain XML on a real libvirt: denied on every path, with nothing defined or started."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import libvirt
import pytest

from hostile_xml import Hostile, every, whole
from integration.core_harness import CoreHarness
from integration.libvirt.guests import Guests
from integration.libvirt.private_libvirtd import private_libvirtd
from proad.core.actor import act_for
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import InvalidArgumentError, PolicyDeniedError
from proad.model import DomainXml, Lifetime, StartOptions, Subject
from proad.policy import Foreign, Policy, Profile
from proad.policy.domains.xml import judge_document

pytestmark = pytest.mark.libvirt

DOCUMENTS = every()
# The default policy, but for what was made outside Proa.
POLICY = Policy(foreign=Foreign.FULL, profiles={"default": Profile(foreign=Foreign.FULL)})


@pytest.fixture
async def core(driver: LibvirtDriver) -> AsyncIterator[CoreHarness]:
    act_for(Subject("ann"))
    async with CoreHarness.of(driver, policy=POLICY) as core:
        yield core


async def fault(core: CoreHarness, document: Hostile, source: DomainXml) -> str:
    """Return what is wrong with the refusal of a document; empty: nothing."""
    try:
        await core.provisioning.create_domain_from_xml(source, start=True, host="")
    except InvalidArgumentError as error:
        told = "" if [each.field for each in error.violations] == ["xml"] else "other fields"
    except PolicyDeniedError as error:
        told = error.violations[0].rule
    else:
        told = "taken"
    return "" if told == document.rule else f"{document.id}: {told}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lifetime", Lifetime)
async def test_create_from_hostile_xml_is_denied_and_defines_nothing(
    core: CoreHarness, guests: Guests, raw: libvirt.virConnect, lifetime: Lifetime
):
    name = f"{guests.prefix}-hostile"
    wrong = []
    for document in DOCUMENTS:
        source = DomainXml(xml=document.named(name), lifetime=lifetime)
        if told := await fault(core, document, source):
            wrong.append(told)

    assert wrong == []
    assert not [each for each in raw.listAllDomains() if each.name().startswith(guests.prefix)]


def defined(raw: libvirt.virConnect) -> dict[str, Hostile]:
    """Define past Proa, as virsh does, what libvirt itself takes; return that by UUIDs."""
    made: dict[str, Hostile] = {}
    for number, document in enumerate(DOCUMENTS):
        if not document.setting or document.rule == "emulator":
            continue  # absurd values end libvirtd itself, and emulators run at once
        try:
            domain = raw.defineXML(document.named(f"hostile-{number}"))
        except libvirt.libvirtError:
            continue
        made[domain.UUIDString()] = document
    return made


@pytest.mark.timeout(900)
async def test_start_of_hostile_domain_defined_by_others_is_denied():
    act_for(Subject("ann"))
    denied = 0
    with private_libvirtd() as libvirtd:
        raw = await asyncio.to_thread(libvirtd.connected)
        documents = await asyncio.to_thread(defined, raw)
        async with (
            LibvirtDriver(libvirtd.uri, virt_type="qemu") as driver,
            CoreHarness.of(driver, policy=POLICY) as core,
        ):
            facts = await driver.domain_facts()
            for id, document in documents.items():
                read = await driver.domain_documents(id)
                if not any(judge_document(each, Profile(), facts) for each in read):
                    continue  # libvirt has left out what was hostile
                with pytest.raises(PolicyDeniedError) as caught:
                    await core.lifecycle.start(id, StartOptions())
                assert document.rule in {each.rule for each in caught.value.violations}
                assert not raw.lookupByUUIDString(id).isActive()
                denied += 1
        raw.close()

    assert denied > 60


@pytest.fixture
def script(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A program that creates a file when run, in a folder where QEMU's user may write."""
    mark = folder / f"mark-{secrets.token_hex(4)}"
    program = folder / f"emulator-{secrets.token_hex(4)}"
    program.write_text(f"#!/bin/sh\necho run > {mark}\n")
    program.chmod(0o755)
    folder.chmod(0o777)
    yield program, mark
    folder.chmod(0o755)
    program.unlink()
    mark.unlink(missing_ok=True)


def test_libvirt_define_runs_the_emulator(
    raw: libvirt.virConnect, guests: Guests, script: tuple[Path, Path]
):
    """Show why the emulator is denied: once this test fails, the rule can be dropped."""
    program, mark = script
    xml = whole(f"<emulator>{program}</emulator>", name=f"<name>{guests.prefix}-x</name>")

    with pytest.raises(libvirt.libvirtError):
        raw.defineXML(xml)
    assert mark.exists()


@pytest.mark.parametrize("own", ["", "<emulator>/usr/bin/qemu-system-x86_64</emulator>"])
async def test_create_from_xml_with_a_foreign_emulator_runs_nothing(
    core: CoreHarness, guests: Guests, script: tuple[Path, Path], own: str
):
    program, mark = script
    name = f"<name>{guests.prefix}-x</name>"
    for devices in (f"<emulator>{program}</emulator>{own}", f"{own}<emulator>{program}</emulator>"):
        with pytest.raises(PolicyDeniedError):
            await core.provisioning.create_domain_from_xml(
                DomainXml(xml=whole(devices, name=name)), start=True, host=""
            )

    assert not mark.exists()
    assert await guests.domains() == set()
