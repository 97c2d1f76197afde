"""Each item of the allowlist of domain XML on a real libvirt: taken, and started where that can be."""

import asyncio
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from hostile_xml.allowed_items import ALLOWED, Allowed
from integration.libvirt.conftest import URI
from proad.drivers.libvirt import LibvirtDriver
from proad.model import DomainDocument, DomainFacts
from proad.policy import Profile
from proad.policy.domains.xml import judge_document, judge_xml

pytestmark = pytest.mark.libvirt

DEVICE = "/dev/proa-test/none"


@pytest.fixture(scope="module")
def pool(raw: libvirt.virConnect) -> Iterator[Path]:
    """The folder of a storage pool of its name, with an image and one below it."""
    place = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}-items"
    place.mkdir(mode=0o711)
    for name in ("base", "disk"):
        command = ["qemu-img", "create", "-q", "-f", "qcow2", str(place / f"{name}.qcow2"), "1M"]
        subprocess.run(command, check=True)
    target = f"<target><path>{place}</path></target>"
    pool = raw.storagePoolCreateXML(f"<pool type='dir'><name>{place.name}</name>{target}</pool>")
    yield place
    pool.destroy()
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def facts(pool: Path) -> DomainFacts:
    """The facts of the host, with a block device in the pool."""

    async def read() -> DomainFacts:
        async with LibvirtDriver(URI, virt_type="qemu") as driver:
            return await driver.domain_facts()

    facts = asyncio.run(read())
    return replace(facts, volumes={**facts.volumes, DEVICE: pool.name})


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda each: each.id)
def test_items_of_allowlist_work(
    raw: libvirt.virConnect, pool: Path, facts: DomainFacts, allowed: Allowed
):
    if allowed.program and shutil.which(allowed.program) is None:
        pytest.skip(f"libvirt takes it only where {allowed.program} is")
    denied, xml = judge_xml(
        allowed.filled(pool.name, pool.name, str(pool), DEVICE), Profile(), facts
    )
    assert denied == []

    domain = raw.defineXML(xml)
    try:
        read = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert judge_document(DomainDocument(xml=read), Profile(), facts) == []
        if not allowed.unstartable:
            domain.create()
            domain.destroy()
    finally:
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
