"""Users of a volume on a remote libvirt: only paths can be compared."""

from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import Guests
from integration.libvirt.usage import define, disk, outside_folder, overlay, refused, volume
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.storage import pools
from proad.errors import InUseError
from proad.model import (
    Volume,
    VolumeRef,
    VolumeSpec,
)

__all__ = ["outside_folder", "volume"]  # fixtures
pytestmark = pytest.mark.libvirt


async def refused_from_afar(
    driver: LibvirtDriver, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> InUseError:
    with monkeypatch.context() as patch:
        patch.setattr(pools, "is_local", lambda _: False)
        return await refused(driver, volume)


async def test_delete_volume_remotely_below_overlay_outside_pools_is_refused(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
):
    domain = define(raw, guests, disk(overlay(outside_folder / "overlay", volume.path)))
    domain.create()
    assert volume.path not in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    error = await refused_from_afar(driver, volume, monkeypatch)
    assert error.metadata["used_by"] == f"domain {domain.name()}"


async def test_delete_volume_remotely_below_another_volume_is_refused(
    driver: LibvirtDriver, guests: Guests, volume: Volume, monkeypatch: pytest.MonkeyPatch
):
    spec = VolumeSpec(name=f"{guests.prefix}-child", base=VolumeRef(name=volume.name))
    child = await driver.create_volume(spec)
    error = await refused_from_afar(driver, volume, monkeypatch)
    assert error.metadata["used_by"] == f"volume {child.pool}/{child.name}"


async def test_delete_volume_remotely_used_by_another_spelling_is_refused(
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    folder: Path,
    volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
):
    domain = define(raw, guests, disk(f"{folder}/../{folder.name}//{volume.name}"))
    error = await refused_from_afar(driver, volume, monkeypatch)
    assert error.metadata["used_by"] == f"domain {domain.name()}"
