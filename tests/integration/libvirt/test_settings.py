"""Each setting of domains on a real libvirt: denied without it on every path, taken with it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostile_xml.document import Hostile, whole
from hostile_xml.needs import NEEDS, Need
from integration.libvirt.needed_host import NeededHost, needed_host
from integration.profiled import Profiled, profiled, told
from proa import v1
from proad.drivers.libvirt import LibvirtDriver

pytestmark = pytest.mark.libvirt

STRICT: dict[str, object] = {"foreign": "full"} | {
    each.setting: each.strict for each in NEEDS if each.strict is not None
}
FORCE = v1.RESTART_MODE_FORCE


@pytest.fixture(scope="module")
def host() -> Iterator[NeededHost]:
    with needed_host() as host:
        yield host


@pytest.fixture
async def policed(host: NeededHost, need: Need, tmp_path: Path) -> AsyncIterator[Profiled]:
    """A daemon with a strict profile, and one that has the setting besides."""
    wide = {**STRICT, need.setting: _in_folder(need.value, host)}
    async with (
        LibvirtDriver(
            host.libvirtd.uri,
            virt_type="qemu",
            default_pool="lab",
            default_pool_path=str(host.folder / "lab"),
        ) as driver,
        profiled(tmp_path / "state", driver, {"default": STRICT, "wide": wide}) as served,
    ):
        yield served
    host.remove_all()


def _in_folder(value: Any, host: NeededHost) -> Any:
    return tuple(host.filled(each) for each in value) if isinstance(value, tuple) else value


def named(need: Need, host: NeededHost, name: str) -> str:
    return host.filled(Hostile("", need.xml).named(name))


def creations(need: Need, host: NeededHost) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls that would make something that needs the setting."""
    xml = named(need, host, "new")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("CreateDomainFromXml", {"xml": xml}),
        ("CreateDomainFromXml", {"xml": xml, "lifetime": v1.LIFETIME_TRANSIENT}),
    ]
    if need.typed:
        spec = {"name": "new", "memory_bytes": 2**25, "diskless": True, "networkless": True}
        calls.append(("CreateDomain", {"spec": {**spec, **need.typed}}))
    if need.volume:
        calls.append(("CreateVolume", {"spec": dict(need.volume)}))
    return calls


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.setting)
async def test_what_needs_a_setting_is_denied_without_and_taken_with_it(
    policed: Profiled, host: NeededHost, need: Need
):
    because = (need.rule, {f"setting {need.setting}"})

    async def denied(name: str, /, **request: Any) -> None:
        for more in ({}, {"validate_only": True}):
            error = await policed.denied("default", name, **request, **more)
            assert told(error) == because, (name, more)

    for name, request in creations(need, host):
        await denied(name, **request)
    assert host.names() == set()

    made = await policed.call(
        "wide", "CreateDomainFromXml", xml=named(need, host, "mine"), start=not need.unstartable
    )
    id = made.resource.id
    mine = host.raw.lookupByUUIDString(id)
    if not need.unstartable:
        assert mine.isActive()
        number = mine.ID()
        await denied("RestartResource", id=id, mode=FORCE)
        assert mine.ID() == number
        mine.destroy()
    await denied("StartResource", id=id)
    theirs = host.raw.defineXML(named(need, host, "theirs"))
    await denied("StartResource", id=theirs.UUIDString())
    host.snapshot(theirs, "before", Hostile("", whole()).named("theirs"))
    await denied("RevertSnapshot", id=theirs.UUIDString(), name="before")
    if need.update:
        request = {"domain": dict(need.update), "update_mask": {"paths": [*need.update]}}
        await denied("UpdateResource", id=theirs.UUIDString(), **request)
        await policed.call("wide", "UpdateResource", id=theirs.UUIDString(), **request)
    assert not mine.isActive()
    assert not theirs.isActive()

    if "<disk" not in need.xml:  # libvirt has internal snapshots of qcow2 alone
        await policed.call("wide", "RevertSnapshot", id=theirs.UUIDString(), name="before")
    for name, request in creations(need, host)[2:]:
        await policed.call("wide", name, **request)
