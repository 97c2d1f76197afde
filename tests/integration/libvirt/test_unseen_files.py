"""Files that QEMU may use but the daemon may not read, as on NFS, are left to libvirt."""

import os
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from integration.libvirt.provoking import disk
from proad.drivers.libvirt.host.virt import HostFacts, QemuUser
from proad.drivers.libvirt.storage.media import check_files, check_volume
from proad.model import VirtType

NOBODY = 65534

pytestmark = [
    pytest.mark.libvirt,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while"),
]


@pytest.fixture
def host() -> HostFacts:
    """A host whose QEMU user may traverse the folder."""
    user = QemuUser(0, frozenset({0}))
    return HostFacts(virt_type=VirtType.QEMU, architecture="x86_64", qemu_user=user)


@pytest.fixture
def image(folder: Path) -> Iterator[Path]:
    """An image in a folder that this process may not traverse during the test."""
    closed = folder / f"proa-test-unseen-{os.getpid()}"
    closed.mkdir(0o700)
    path = closed / "image"
    path.touch()
    os.seteuid(NOBODY)
    try:
        yield path
    finally:
        os.seteuid(0)
        path.unlink()
        closed.rmdir()


def test_check_volume_invisible_to_daemon_passes(
    raw: libvirt.virConnect, host: HostFacts, image: Path
):
    with pytest.raises(PermissionError):
        image.stat()
    try:
        check_volume(raw, str(image), host, field="spec.disks[0]")
    except PermissionError as error:
        pytest.fail(str(error))


def test_check_files_invisible_to_daemon_passes(
    raw: libvirt.virConnect, host: HostFacts, image: Path
):
    root = etree.fromstring(f"<domain><devices>{disk(str(image))}</devices></domain>")
    check_files(raw, root, host)
