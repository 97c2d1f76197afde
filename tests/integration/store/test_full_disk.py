"""A database on a disk that is full: nothing is kept, and all is well again when there is room."""

import os
import subprocess
from dataclasses import replace

import pytest

from integration.store.test_requests import ENDED, KEY, OPEN
from proad.errors import DatabaseUnreachableError
from proad.store.database import Database
from proad.store.requests import RequestStore


@pytest.fixture
def small_disk(tmp_path):
    """A file system with a little room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = "size=1m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_add_disk_full_keeps_nothing_until_there_is_room(small_disk):
    async with Database.open(f"sqlite:///{small_disk}/proa.db") as database:
        store = RequestStore(database, "daemon-1")
        await store.add(OPEN)
        filler = small_disk / "filler"
        room = os.statvfs(small_disk)
        filler.write_bytes(bytes(room.f_bfree * room.f_bsize))

        large = ENDED.key._replace(id="other")
        for _ in range(2):
            with pytest.raises(DatabaseUnreachableError):
                await store.add(_large(large))
        assert await store.get(large) is None
        filler.unlink()

        await store.add(_large(large))
        await store.settle(ENDED)
        assert await store.get(KEY) == ENDED
        assert await store.get(large) == _large(large)


def _large(key):
    """Return a record that needs more pages than the log has room for."""

    return replace(ENDED, key=key, answer=bytes(100_000))
