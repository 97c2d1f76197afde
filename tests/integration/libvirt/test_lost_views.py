"""FULL views of a guest while its libvirtd goes and comes back."""

import signal
from pathlib import Path

import pytest

from guest.media import medium
from integration.libvirt.conftest import TIMING
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from integration.libvirt.test_lost_inside import booted, libvirtd, sh
from integration.lost_views import check_views, each_loss, serving
from proa import v1
from proad.drivers.libvirt import LibvirtDriver

pytestmark = pytest.mark.libvirt
__all__ = ["libvirtd"]


@pytest.fixture
def driver(libvirtd: PrivateLibvirtd) -> LibvirtDriver:
    media = medium("guest.iso").parent
    return LibvirtDriver(libvirtd.uri, virt_type="qemu", media_dirs=(str(media),), timing=TIMING)


def host_name(resource: v1.Resource) -> str:
    info = resource.guest_info
    return f"{info.hostname} {info.agent_answered}"


@each_loss
async def test_view_is_whole_or_refused_and_whole_again(
    tmp_path: Path, driver: LibvirtDriver, libvirtd: PrivateLibvirtd, number: signal.Signals
):
    async with serving(tmp_path, driver) as daemon:
        guest = await booted(driver)
        await sh(driver, guest.id, "hostname desk-7")
        await check_views(daemon, guest.id, libvirtd, number, told=host_name, whole="desk-7 True")
