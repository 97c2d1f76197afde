"""Headers of qcow2 images, sound and otherwise."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proad.drivers.libvirt.storage import image_files, qcow2
from proad.drivers.libvirt.storage.qcow2 import Header, TornImageError, UnreadableImageError

BACKING_FORMAT, DATA_FILE = 0xE2792ACA, 0x44415441


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)


def image(
    *,
    version: int = 3,
    backing: bytes = b"",
    extensions: bytes = b"",
    features: int = 0,
    offset: int = 1024,
    size: int | None = None,
    cluster_bits: int = 16,
    length: int = 104,
) -> bytes:
    size = len(backing) if size is None else size
    start = struct.pack(">4sIQII", b"QFI\xfb", version, offset if size else 0, size, cluster_bits)
    start = start.ljust(72, b"\0")
    if version == 3:
        start += struct.pack(">QQQII", features, 0, 0, 4, length)
    return (start + extensions + bytes(8)).ljust(min(offset, 1 << 17), b"\0") + backing


def read(data: bytes) -> Header | None:
    return qcow2.read_header(lambda offset, size: data[offset : offset + size])


@pytest.mark.parametrize("version", [2, 3])
def test_read_header_with_a_base_names_it(version: int):
    data = image(
        version=version,
        backing=b"base.img",
        extensions=extension(0x6803F857, bytes(13)) + extension(BACKING_FORMAT, b"raw"),
    )
    assert read(data) == Header(backing="base.img", backing_format="raw")


def test_read_header_with_a_data_file_names_it():
    data = image(features=4, extensions=extension(DATA_FILE, b"data.raw"))
    assert read(data) == Header(data_file="data.raw")
    assert read(image(features=4)) == Header(data_file="")
    assert read(image(extensions=extension(DATA_FILE, b"data.raw"))) == Header()


def test_read_header_of_something_else_gives_nothing():
    for data in (b"", b"QFI", bytes(4096), b"x" * 4096):
        assert read(data) is None


@pytest.mark.parametrize(
    "data",
    [
        image(version=4),
        image(backing=b"x", offset=2**63),
        image(backing=b"x", size=2**32 - 1),
        image(backing=b"x", size=65536),
        image(backing=b"x", size=1023),
        image(backing=b"a\0b"),
        image(cluster_bits=8),
        image(cluster_bits=63),
        image(length=72),
        image(length=2**31),
        image(extensions=struct.pack(">II", BACKING_FORMAT, 2**31)),
        image(extensions=extension(1, b"") * 100),
        image(version=1, backing=b"x", offset=2048, size=2**31),
    ],
)
def test_read_header_that_breaks_the_rules_is_refused(data: bytes):
    with pytest.raises(UnreadableImageError):
        read(data)


def test_read_header_cut_anywhere_is_torn_or_whole():
    whole = image(backing=b"base", extensions=extension(BACKING_FORMAT, b"qcow2"))
    for end in range(4, len(whole)):
        with pytest.raises(TornImageError):
            read(whole[:end])


@settings(deadline=None)  # how long it takes says nothing on a busy machine
@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=20),
    st.binary(max_size=64),
    st.sampled_from([1, 2, 3, 4]),
)
@example(b"\xff\xfe", [], b"\xff", 3)
def test_read_header_of_anything_gives_names_or_says_why_not(
    backing: bytes, changes: list[tuple[int, int]], format: bytes, version: int
):
    data = bytearray(
        image(version=version, backing=backing, extensions=extension(BACKING_FORMAT, format))
    )
    for place, value in changes:
        if place < len(data):
            data[place] = value
    try:
        header = read(bytes(data))
        path = image_files.resolve(header.backing, of="/pool/image") if header else ""
    except UnreadableImageError as error:
        str(error).encode()
    else:
        qcow2.printable(path).encode()


def test_read_file_that_is_none_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(UnreadableImageError, match="regular file"):
            qcow2.read_file(str(path))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("base", "/pool/base"),
        ("../golden/base", "/pool/../golden/base"),
        ("/golden/base", "/golden/base"),
        ("file:/golden/base", "/golden/base"),
        ("./a:b", "/pool/a:b"),
    ],
)
def test_resolve_takes_a_name_as_qemu_does(name: str, path: str):
    assert image_files.resolve(name, of="/pool/image") == path


@pytest.mark.parametrize("name", ["", "json:{}", "nbd://h/e", "https://h/x", "rbd:pool/x", "a:b"])
def test_resolve_of_no_file_is_refused(name: str):
    with pytest.raises(UnreadableImageError, match="no file of this host"):
        image_files.resolve(name, of="/pool/image")


@settings(deadline=None)
@given(
    st.sampled_from([b"QED\0", b"KDMV", b"# Disk DescriptorFile\n"]),
    st.binary(max_size=200),
    st.binary(max_size=200),
)
def test_read_other_of_any_bytes_raises_nothing_else(magic: bytes, start: bytes, rest: bytes):
    data = (magic + start).ljust(512, b"\0") + b'parentFileNameHint="' + rest + b'"'
    try:
        found = qcow2.read_other(lambda offset, size: data[offset : offset + size])
    except UnreadableImageError:
        return
    assert found is None or "\0" not in found.backing
