"""What a listing says of files, wherever its pieces were cut."""

import subprocess
from pathlib import Path

import pytest

from proad.drivers.posix_files import _Listing, script
from proad.errors import EngineConflictError

SAID = b"2\0/a/one\0/a/two\0first\nsecond\x001\0/a/three\0third\0"
FILES = [(b"/a/one", b"first"), (b"/a/two", b"second"), (b"/a/three", b"third")]


@pytest.mark.parametrize("size", [1, 2, 7, len(SAID)])
def test_listing_is_the_same_wherever_it_is_cut(size: int):
    listing = _Listing("docker")
    found = [
        file for at in range(0, len(SAID), size) for file in listing.take(SAID[at : at + size])
    ]
    listing.end()
    assert found == FILES


def test_script_takes_no_tool_from_where_others_may_put_one(tmp_path: Path):
    mine = tmp_path / "mv"
    mine.write_text("#!/bin/sh\necho mine\n")
    mine.chmod(0o755)
    command = ["/bin/sh", "-c", script("mv --version", "mv")]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    said = subprocess.run(command, env=path, capture_output=True, text=True, check=True).stdout
    assert "mine" not in said


def test_name_without_an_end_is_kept_once_however_slowly_it_comes():
    listing = _Listing("docker")
    listing.take(b"1\0" + b"x" * 1000)
    kept = listing.begun
    for _ in range(1000):
        assert listing.take(b"x") == []
        assert listing.begun is kept
    with pytest.raises(EngineConflictError):
        listing.take(b"x" * 8 * 2**20)
