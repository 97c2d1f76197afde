"""Domain XML that the policy allows, on a real libvirt: works, and is read as it was judged."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from hostile_xml.allowed import document
from integration.core_harness import CoreHarness
from integration.libvirt.guests import SCRAP, Guests
from integration.libvirt.private_libvirtd import private_libvirtd
from proad.core.actor import act_for
from proad.drivers.libvirt import LibvirtDriver
from proad.model import DomainDocument, DomainXml, ResourceState, Subject
from proad.policy import Policy, Profile
from proad.policy.domains.xml import judge_document, judge_xml

pytestmark = pytest.mark.libvirt

GOLDEN = Path(__file__).parents[2] / "golden"
SEEDS = 400


@pytest.fixture
async def core(driver: LibvirtDriver) -> AsyncIterator[CoreHarness]:
    act_for(Subject("ann"))
    async with CoreHarness.of(driver, policy=Policy()) as core:
        yield core


@pytest.fixture
def images(raw: libvirt.virConnect, guests: Guests) -> Iterator[Path]:
    """A storage pool with a disk and a medium."""
    place = Path("/var/tmp") / f"{guests.prefix}-images"
    place.mkdir(mode=0o711)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{place.name}</name><target><path>{place}</path></target></pool>"
    )
    command = ["qemu-img", "create", "-q", "-f", "qcow2", str(place / "disk.qcow2"), "1M"]
    subprocess.run(command, check=True)
    (place / "medium.iso").write_bytes(bytes(2**16))
    yield place
    pool.destroy()
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def of_virt_install(name: str, prefix: str, images: Path) -> str:
    """Return what virt-install prints, for this host: emulated, small, without a TPM."""
    root = etree.parse(GOLDEN / f"virt-install-{name}.xml").getroot()
    root.set("type", "qemu")
    for path, text in (
        ("name", f"{prefix}-{name}"),
        ("memory", "65536"),
        ("currentMemory", "65536"),
    ):
        place = root.find(path)
        assert place is not None
        place.text = text
    kvm = ("vpindex", "runtime", "synic", "stimer", "frequencies", "tlbflush", "ipi")
    for path in ("cpu", "devices/tpm", "uuid", *(f"features/hyperv/{each}" for each in kvm)):
        for place in root.findall(path):
            parent = place.getparent()
            assert parent is not None
            parent.remove(place)
    for place, file in zip(
        root.iterfind("devices/disk/source"), ("disk.qcow2", "medium.iso"), strict=True
    ):
        place.set("file", str(images / file))
    return etree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("name", ["linux", "windows11"])
async def test_create_from_xml_of_virt_install_works_and_can_be_made_again(
    core: CoreHarness, guests: Guests, images: Path, name: str
):
    xml = of_virt_install(name, guests.prefix, images)

    for state in ("running", "inactive"):
        made = await core.provisioning.create_domain_from_xml(
            DomainXml(xml=xml), start=True, host=""
        )
        assert made.state is ResourceState.RUNNING
        assert made.domain is not None
        xml = await core.provisioning.domain_xml(made.id, inactive=state == "inactive")
        screens = etree.fromstring(xml).findall("devices/graphics")
        assert [each.get("listen") for each in screens] == ["127.0.0.1"]
        await core.lifecycle.delete(made.id, SCRAP)


@pytest.mark.timeout(900)
async def test_allowed_xml_is_read_by_libvirt_as_it_was_judged():
    """libvirt's own reading of what was judged has nothing in it that would be denied."""
    with private_libvirtd() as libvirtd:
        raw = await asyncio.to_thread(libvirtd.connected)
        async with LibvirtDriver(libvirtd.uri, virt_type="qemu") as driver:
            facts = await driver.domain_facts()
            taken = 0
            for seed in range(SEEDS):
                denied, xml = judge_xml(document(seed), Profile(), facts)
                if denied:  # this host lacks what the tables were drawn for
                    continue
                try:
                    domain = raw.defineXML(xml)
                except libvirt.libvirtError:
                    continue
                read = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
                assert judge_document(DomainDocument(xml=read), Profile(), facts) == [], read
                taken += 1
        raw.close()

    assert taken > 10
