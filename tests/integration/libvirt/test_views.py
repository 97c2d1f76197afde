"""All views of a hundred odd domains match virsh, and each other."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.as_virsh import Volume, as_virsh_shows
from integration.libvirt.guests import MIB
from integration.libvirt.odd_domains import Odd, disk, file, odd_domains
from integration.libvirt.private_libvirtd import PrivateLibvirtd, private_libvirtd
from proad.drivers.libvirt import LibvirtDriver
from proad.model import Domain, DomainSpec, Resource, ResourceView, VolumeRef
from requirements import skip_or_fail

pytestmark = pytest.mark.libvirt

SUMMARY_HAS = ("memory_bytes", "max_memory_bytes", "vcpus", "autostart")


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[PrivateLibvirtd]:
    """Run a libvirtd of the test's own: its odd domains would disturb other tests."""
    if shutil.which("virsh") is None:
        skip_or_fail("the program virsh is not there")
    with private_libvirtd() as libvirtd:
        yield libvirtd


@pytest.fixture
def volumes(tmp_path: Path) -> list[Volume]:
    """The files of the pool, with their known formats."""
    found = []
    for name, form, size in (("a.qcow2", "qcow2", MIB), ("b.raw", "raw", 2 * MIB)):
        path = tmp_path / name
        subprocess.run(["qemu-img", "create", "-q", "-f", form, path, str(size)], check=True)
        ref = VolumeRef(pool="odd", name=name)
        found.append(Volume(ref=ref, path=str(path), capacity_bytes=size))
    return found


@pytest.fixture
def world(
    libvirtd: PrivateLibvirtd, volumes: list[Volume], tmp_path: Path
) -> Iterator[libvirt.virConnect]:
    """All odd domains, in every state."""
    connection = libvirtd.connected()
    connection.storagePoolCreateXML(
        f"<pool type='dir'><name>odd</name><target><path>{tmp_path}</path></target></pool>"
    )
    odd = list(odd_domains(tmp_path))
    assert len(odd) > 100
    for number, each in enumerate(odd):
        domain = connection.defineXML(each.xml(number))
        if each.starts:
            domain.create()
    _in_states(connection, volumes)
    yield connection
    for domain in connection.listAllDomains():
        if domain.isActive():
            domain.destroy()
    connection.close()


def _in_states(connection: libvirt.virConnect, volumes: list[Volume]) -> None:
    """Add domains in states other than off and running."""
    names = iter(range(1000, 2000))

    def xml(devices: str = "") -> str:
        return Odd(about="", devices=devices).xml(next(names))

    connection.defineXML(xml()).setAutostart(1)
    paused = connection.defineXML(xml())
    paused.create()
    paused.suspend()
    saved = connection.defineXML(xml())
    saved.create()
    saved.managedSave()
    connection.createXML(xml())
    snapped = connection.defineXML(xml(disk("vda", "virtio", file(volumes[0].path))))
    for name in ("one", "two"):
        snapped.snapshotCreateXML(f"<domainsnapshot><name>{name}</name></domainsnapshot>")


def differences(
    shown: Resource, wanted: Resource, names: tuple[str, ...]
) -> dict[str, tuple[object, object]]:
    """Return what Proa and virsh show differently, for people to read."""
    assert shown.domain is not None
    assert wanted.domain is not None
    pairs = {name: (getattr(shown.domain, name), getattr(wanted.domain, name)) for name in names}
    if "spec" in pairs:
        ours, theirs = pairs["spec"]
        pairs["spec"] = _told(ours), _told(theirs)
    resource = ("id", "kind", "name", "state", "labels", "create_time", "lifetime")
    pairs |= {name: (getattr(shown, name), getattr(wanted, name)) for name in resource}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _told(spec: DomainSpec | None) -> object:
    """Return the part of a specification that virsh tells directly."""
    assert spec is not None
    return (
        *(spec.name, spec.title, spec.description),
        *(spec.firmware, spec.boot_order),
    )


def reconcile(shown: list[Resource], wanted: dict[str, Resource], names: tuple[str, ...]) -> None:
    assert len(shown) == len(wanted)
    wrong = [
        f"{each.name}: {name}: Proa tells {ours}, virsh {theirs}"
        for each in shown
        for name, (ours, theirs) in differences(each, wanted[each.id], names).items()
    ]
    assert not wrong, "\n".join(wrong)


async def test_views_of_odd_domains_match_virsh(
    libvirtd: PrivateLibvirtd, world: libvirt.virConnect, volumes: list[Volume]
):
    ids = [domain.UUIDString() for domain in world.listAllDomains()]
    wanted = await as_virsh_shows(libvirtd.uri, ids, volumes)
    # virsh has no word for what a specification cannot express.
    every = tuple(field.name for field in fields(Domain) if field.name != "spec_omits")
    async with LibvirtDriver(libvirtd.uri, virt_type="qemu") as driver:
        listed = await driver.list_resources()
        reconcile(listed, wanted, SUMMARY_HAS)
        in_full = await driver.list_resources(ResourceView.FULL)
        reconcile(in_full, wanted, every)
        for id, full in zip(ids, in_full, strict=True):
            assert await driver.get_resource(id) == full
        again = await driver.list_resources()
        async with LibvirtDriver(libvirtd.uri, virt_type="qemu") as fresh:
            alone = [await fresh.get_resource(id, ResourceView.SUMMARY) for id in ids]
        assert by_id(listed) == by_id(again) == by_id(alone)
        assert by_id(in_full, as_summary=True) == by_id(listed)


def by_id(found: list[Resource], *, as_summary: bool = False) -> dict[str, Resource]:
    """Return resources by id; with `as_summary`, without the FULL view's own fields."""
    if not as_summary:
        return {each.id: each for each in found}
    short = {}
    for each in found:
        assert each.domain is not None
        size = {name: getattr(each.domain, name) for name in SUMMARY_HAS}
        short[each.id] = replace(each, domain=Domain(**size))
    return short
