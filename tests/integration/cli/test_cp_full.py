"""cp to a file system of this machine that is full."""

import subprocess
import tempfile

import pytest

import proa
from small_file_systems import small_file_system

LARGE = bytes(1_900_000)


@pytest.fixture
def small(tmp_path):
    """A file system of one mebibyte."""
    with small_file_system(tmp_path / "small", "size=1m") as folder:
        yield folder


@pytest.fixture
def client(daemon, token, web):
    """A client, and a tree in the container with a file that is too large."""
    with proa.connect(daemon, token=token) as client:
        client.make_directory(web, "/etc/tree")
        client.make_directory(web, "/etc/tree/a")
        client.write_file(web, "/etc/tree/a/large", LARGE)
        client.write_file(web, "/etc/tree/a/b", b"small")
        yield client


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def no_room(path):
    return f"Error: {str(path)!r}: No space left on device\n"


@pytest.mark.usefixtures("client")
def test_file_keeps_the_old_one_and_leaves_nothing(ann, web, small):
    for old in ([], ["large"]):
        for name in old:
            (small / name).write_bytes(b"old")
        told = ann.fails(2, "cp", f"{web}:/etc/tree/a/large", small / "large")
        assert told == no_room(small / "large")
        assert names(small) == old
    assert (small / "large").read_bytes() == b"old"


@pytest.mark.usefixtures("client")
def test_tree_ends_with_the_file_that_has_no_room(ann, web, small):
    told = ann.fails(2, "cp", "-r", f"{web}:/etc/tree", small / "back")
    assert told == no_room(small / "back/a/large")
    assert names(small) == ["back", "back/a", "back/a/b"]
    assert (small / "back/a/b").read_bytes() == b"small"


@pytest.mark.usefixtures("client")
def test_tree_whose_directories_have_no_room_names_the_directory(ann, web, small):
    subprocess.run(["mount", "-o", "remount,nr_inodes=2", small], check=True)
    told = ann.fails(2, "cp", "-r", f"{web}:/etc/tree", small / "back")
    assert told == no_room(small / "back/a")
    assert names(small) == ["back"]


@pytest.mark.usefixtures("client")
def test_file_where_none_can_be_names_what_its_caller_named(ann, web):
    for path in ("/none/file", "/proc/file"):
        told = ann.fails(2, "cp", f"{web}:/etc/tree/a/b", path)
        assert told == f"Error: {path!r}: No such file or directory\n"


@pytest.mark.usefixtures("client")
def test_standard_input_that_finds_no_room_names_the_folder(ann, web, small, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    told = ann.fails(2, "cp", "-", f"{web}:/etc/new", input=LARGE)
    assert told == no_room(small)
    assert names(small) == []
    ann.fails(3, "cp", f"{web}:/etc/new", "-")
