"""What the driver reports of its host, and chooses by it."""

import libvirt
import pytest

from proad.drivers.libvirt import LibvirtDriver
from proad.errors import ResourceNotFoundError
from proad.model import DomainSpec, VirtType


@pytest.mark.libvirt
async def test_probe_reports_chosen_domain_type(raw: libvirt.virConnect):
    async with LibvirtDriver(virt_type="auto") as driver:
        info = await driver.probe()
        assert info.hostname == raw.getHostname()
        assert info.memory_bytes > 2**30
        assert info.cpus > 0
        assert info.api_version.startswith("QEMU ")
        spec = DomainSpec(
            name="proa-test-chosen", memory_bytes=32 * 2**20, diskless=True, networkless=True
        )
        made = await driver.create_domain(spec)
        await driver.delete(made.id)
        assert made.domain is not None
        emulated = made.domain.virt_type is VirtType.QEMU
        assert any("emulated" in warning for warning in info.warnings) is emulated


@pytest.mark.libvirt
async def test_probe_with_requested_emulation_has_no_warning(raw: libvirt.virConnect):
    async with LibvirtDriver(virt_type="qemu") as driver:
        assert (await driver.probe()).warnings == ()


async def test_probe_of_test_hypervisor_reports_engine():
    async with LibvirtDriver("test:///default") as driver:
        info = await driver.probe()
        assert (info.architecture, info.warnings) == ("i686", ())
        names = {each.name for each in await driver.list_resources()}
        assert "test" in names


async def test_endpoint_with_credentials_hides_them():
    assert LibvirtDriver("qemu+ssh://me:secret@host/system").endpoint == "qemu+ssh://host/system"


async def test_libvirt_errors_are_raised_not_printed(capfd: pytest.CaptureFixture[str]):
    async with LibvirtDriver("test:///default") as driver:
        with pytest.raises(ResourceNotFoundError):
            await driver.get_resource("00000000-0000-4000-8000-000000000000")
    assert capfd.readouterr() == ("", "")
