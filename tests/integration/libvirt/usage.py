"""Volumes, and helpers that make use of them."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import InUseError
from proad.model import (
    Volume,
    VolumeSpec,
)


@pytest.fixture
def outside_folder() -> Iterator[Path]:
    """A folder outside of every pool that QEMU's user may read."""
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.fixture
async def volume(driver: LibvirtDriver, guests: Guests) -> Volume:
    spec = VolumeSpec(name=f"{guests.prefix}-base.qcow2", capacity_bytes=MIB)
    return await driver.create_volume(spec)


def define(
    raw: libvirt.virConnect, guests: Guests, devices: str, os: str = ""
) -> libvirt.virDomain:
    return raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-{secrets.token_hex(4)}</name>"
        f"<memory unit='MiB'>32</memory><os><type>hvm</type>{os}</os>"
        f"<features><acpi/></features><devices>{devices}</devices></domain>"
    )


def disk(path: Path | str, format: str = "qcow2") -> str:
    return (
        f"<disk type='file'><driver name='qemu' type='{format}'/><source file='{path}'/>"
        "<target dev='vda'/></disk>"
    )


def run(*words: object) -> None:
    subprocess.run([*map(str, words)], check=True, stdout=subprocess.DEVNULL)


def overlay(path: Path, base: Path | str) -> Path:
    run("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "qcow2", path)
    return path


async def refused(driver: LibvirtDriver, volume: Volume) -> InUseError:
    with pytest.raises(InUseError) as caught:
        await driver.delete_volume(volume.pool, volume.name)
    assert Path(volume.path).exists()
    return caught.value


@pytest.fixture
def pool(raw: libvirt.virConnect) -> Iterator[libvirt.virStoragePool]:
    """A pool other than the guests' own."""
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{folder.name}</name><target><path>{folder}</path></target></pool>"
    )
    yield pool
    pool.destroy()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
