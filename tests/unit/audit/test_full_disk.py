"""The log on a small disk that is full: what the reserve is good for."""

import os
import subprocess

import pytest

from eventually import eventually
from proad.audit import AuditOptions
from proad.errors import AuditUnavailableError
from unit.audit.test_committer import Disk, committing

KIB = 1024


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request, tmp_path):
    """A file system with a little room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", folder]
    else:
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(16 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        command = ["mount", "-o", "loop", image, folder]
    subprocess.run(command, check=True)
    folder.chmod(0o700)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    """Leave no room."""
    descriptor = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        for size in (256 * KIB, 4 * KIB, 1):
            try:
                while True:
                    os.write(descriptor, bytes(size))
            except OSError:
                continue
    finally:
        os.close(descriptor)


async def test_full_disk_refuses_changes_and_lets_deletes_take_of_the_reserve(small_disk):
    options = AuditOptions(reserved_bytes=512 * KIB)
    async with committing(small_disk, Disk(), options) as committed:
        await committed.submit(0).wait()
        fill(small_disk)
        used = os.statvfs(small_disk)
        assert used.f_bavail * used.f_bsize < 64 * KIB

        # The reserve is extended by a mebibyte at a time, which is used up first.
        count = 0
        while await _taken(committed):
            count += 1
            assert count < 5000
        with pytest.raises(AuditUnavailableError):
            await committed.submit(-1, pad="x" * 900).wait()
        for each in range(300):
            await committed.submit(100_000 + each, of_reserve=True, pad="x" * 900).wait()

        (small_disk / "filler").unlink()
        await eventually(lambda: _taken(committed), within=10)
    assert committed.log.verify().damage is None


async def _taken(committed):
    try:
        await committed.submit(-2, pad="x" * 900).wait()
    except AuditUnavailableError:
        return False
    return True


async def test_reserve_promises_as_many_lines_as_fit(small_disk):
    options = AuditOptions(reserved_bytes=512 * KIB)
    async with committing(small_disk, Disk(), options) as committed:
        await committed.submit(0).wait()
        fill(small_disk)
        size = 0
        while size < 512 * KIB - 2 * KIB:
            line = committed.submit(1, of_reserve=True, pad="x" * 900)
            await line.wait()
            size += 1100


async def test_disk_full_at_the_start_takes_no_change_until_there_is_room(small_disk):
    (small_disk / "audit").mkdir(mode=0o700)
    fill(small_disk)
    options = AuditOptions(reserved_bytes=512 * KIB)
    async with committing(small_disk, Disk(), options) as committed:
        with pytest.raises(AuditUnavailableError):
            await committed.submit(0).wait()
        (small_disk / "filler").unlink()
        await eventually(lambda: _taken(committed), within=10)
    assert committed.log.verify().damage is None
