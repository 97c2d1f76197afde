import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from proad.auth.keys import KEY_BYTES, Key, KeyRing
from proad.errors import SetupError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_open_of_an_empty_folder_creates_the_first_key_once(folder):
    ring = KeyRing.open(folder)
    assert len(ring.newest.secret) == KEY_BYTES
    assert KeyRing.open(folder).keys == ring.keys
    assert files(folder) == ["000001.key"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "000001.key").stat().st_mode) == 0o600


def test_open_under_any_umask_creates_private_files(folder):
    before = os.umask(0)
    try:
        KeyRing.open(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "000001.key").stat().st_mode) == 0o600


def test_rotate_keeps_the_newest_two_keys(folder):
    first = KeyRing.open(folder).newest
    second = KeyRing.rotate(folder)
    assert second.keys[0] == first
    assert second.newest != first
    third = KeyRing.rotate(folder)
    assert third.keys[0] == second.newest
    assert files(folder) == ["000002.key", "000003.key"]
    assert KeyRing.open(folder).keys == third.keys


def test_rotate_of_an_empty_folder_creates_two_keys(folder):
    assert len(KeyRing.rotate(folder).keys) == 2


def test_open_by_many_at_once_creates_one_key(folder):
    folder.mkdir(mode=0o700)
    with ThreadPoolExecutor(16) as pool:
        rings = list(pool.map(lambda _: KeyRing.open(folder), range(64)))
    assert len({ring.newest for ring in rings}) == 1
    assert files(folder) == ["000001.key"]


def test_key_id_differs_by_key_and_hides_the_secret(folder):
    ring = KeyRing.rotate(folder)
    assert len({key.id for key in ring.keys}) == 2
    for key in ring.keys:
        assert key.id not in key.secret.hex()
        assert key.secret.hex() not in repr(key)
        assert repr(key.secret) not in repr(key)
    assert Key(b"x" * 32).id == Key(b"x" * 32).id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_open_with_a_key_that_others_can_read_raises_setup_error(folder, mode):
    KeyRing.open(folder)
    (folder / "000001.key").chmod(mode)
    for call in (KeyRing.open, KeyRing.rotate):
        with pytest.raises(SetupError, match="others may read this key"):
            call(folder)
    assert files(folder) == ["000001.key"]


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_open_with_a_key_of_another_length_raises_setup_error(folder, content):
    KeyRing.open(folder)
    (folder / "000001.key").write_bytes(content)
    with pytest.raises(SetupError, match=f"this has {len(content)}"):
        KeyRing.open(folder)


def test_open_of_a_folder_that_others_can_list_raises_setup_error(folder):
    KeyRing.open(folder)
    folder.chmod(0o750)
    with pytest.raises(SetupError, match="chmod 700"):
        KeyRing.open(folder)


@pytest.mark.parametrize("what", ["link", "folder", "pipe"])
def test_open_with_a_key_that_is_no_regular_file_raises_setup_error(folder, what, tmp_path):
    KeyRing.open(folder)
    path = folder / "000001.key"
    path.rename(tmp_path / "elsewhere")
    match what:
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "folder":
            path.mkdir(mode=0o700)
        case "pipe":
            os.mkfifo(path, 0o600)
    with pytest.raises(SetupError, match=r"000001\.key"):
        KeyRing.open(folder)


def test_open_without_a_parent_folder_raises_setup_error(tmp_path):
    with pytest.raises(SetupError, match="No such file"):
        KeyRing.open(tmp_path / "none" / "keys")


def test_rotate_leaves_other_files_alone(folder):
    KeyRing.open(folder)
    (folder / "README").touch()
    KeyRing.rotate(folder)
    KeyRing.rotate(folder)
    assert files(folder) == ["000002.key", "000003.key", "README"]
