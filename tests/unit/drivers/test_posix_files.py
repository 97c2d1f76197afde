"""What a listing says of files, wherever its pieces were cut."""

import pytest

from proad.drivers.posix_files import _Listing
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


def test_name_without_an_end_is_kept_once_however_slowly_it_comes():
    listing = _Listing("docker")
    listing.take(b"1\0" + b"x" * 1000)
    kept = listing.begun
    for _ in range(1000):
        assert listing.take(b"x") == []
        assert listing.begun is kept
    with pytest.raises(EngineConflictError):
        listing.take(b"x" * 8 * 2**20)
