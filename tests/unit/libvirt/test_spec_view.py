"""Specifications in libvirt's XML: read back, with what they cannot express."""

from dataclasses import replace
from pathlib import Path

import pytest

from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.domain_xml import domain_xml
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.libvirt.xml.parser import serialise
from proad.drivers.libvirt.xml.spec_view import Outside, SpecView, spec_of
from proad.model import Disk, DomainSpec, VirtType, VolumeRef
from unit.libvirt.test_domain_xml import CASES

HOST = HostFacts(virt_type=VirtType.QEMU, architecture="x86_64", rng=True)


def in_pool(disk: Disk) -> VolumeRef | None:
    """Return a volume of every file: its pool is the folder."""
    path = Path(disk.path)
    return VolumeRef(pool=path.parent.name, name=path.name) if disk.path else None


def read(xml: str, host: HostFacts = HOST) -> SpecView:
    root = Node.of(xml)
    outside = Outside(host=host, autostart=False, transient=False, volume_of=in_pool)
    return spec_of(root, domain_of(xml), outside)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"minimal-arm"}))
def test_spec_of_written_xml_is_the_specification(name: str):
    spec, parts, host = CASES[name]
    found = read(serialise(domain_xml(spec, parts, host)), host)

    assert found.omits == ()
    assert found.spec == expected(spec, found.spec)


def expected(spec: DomainSpec, found: DomainSpec) -> DomainSpec:
    """Return a specification as it is read back: with what the domain got."""
    assert [disk.bus for disk in found.disks] == [disk.bus for disk in spec.effective_disks]
    assert [disk.read_only for disk in found.disks] == [d.read_only for d in spec.effective_disks]
    return replace(
        spec,
        uuid=found.uuid,
        disks=found.disks,
        diskless=not found.disks,
        networks=spec.effective_networks,
        networkless=not spec.effective_networks,
        boot_order=spec.effective_boot_order,
        video=found.video,
        cpu_mode=found.cpu_mode if spec.cpu_mode is None else spec.cpu_mode,
        labels=found.labels,
    )
