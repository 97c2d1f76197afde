"""The scripts for files in guests, in the shells that guests have."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from proad.drivers.libvirt.agent import file_scripts

# Those that are there: Debian's sh is dash.
SHELLS = [
    pytest.param((path, *options), id=name)
    for name, *options in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
    if (path := shutil.which(name))
]
ODD = "a\n'b\" $c \\ *\n"

pytestmark = pytest.mark.parametrize("shell", SHELLS)


def run(shell: tuple[str, ...], script: str, *args: object) -> tuple[int, bytes]:
    words = [*shell, "-c", script, "sh", *map(str, args)]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60, cwd="/")
    return done.returncode, done.stdout


def begun(shell: tuple[str, ...], path: Path, *, overwrite: str = "") -> list[Path]:
    code, said = run(shell, file_scripts.BEGIN, path, ".own", overwrite)
    assert code == 0
    *paths, end = said.decode().split("\0")
    assert not end
    return [Path(each) for each in paths]


def test_file_is_begun_beside_its_place_and_private(shell: tuple[str, ...], tmp_path: Path):
    folder = tmp_path / ODD
    folder.mkdir()
    temporary, at = begun(shell, folder / ODD)
    assert (temporary, at) == (folder / ".own", folder / ODD)
    assert temporary.stat().st_mode & 0o7777 == 0o600
    temporary.write_bytes(b"data")
    place = (file_scripts.PLACE, at, temporary)
    assert run(shell, *place, "", "640", os.getuid(), "", 5)[0] == 1
    assert run(shell, *place, "", "640", os.getuid(), "", 4)[0] == 0
    assert (at.read_bytes(), at.stat().st_mode & 0o7777) == (b"data", 0o640)
    assert not temporary.exists()


def test_file_that_is_there_is_not_replaced(shell: tuple[str, ...], tmp_path: Path):
    path, temporary = tmp_path / "file", tmp_path / ".own"
    path.write_bytes(b"old")
    assert run(shell, file_scripts.BEGIN, path, ".own", "")[0] == 95
    temporary.write_bytes(b"new")
    assert run(shell, file_scripts.PLACE, path, temporary, "", "644", "", "", 3)[0] == 95
    assert path.read_bytes() == b"old"
    assert run(shell, file_scripts.PLACE, path, temporary, "o", "644", "", "", 3)[0] == 0
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("target", ["file", "other", "folder/file", "../{}/file", "{}/f"])
def test_link_is_followed(shell: tuple[str, ...], tmp_path: Path, target: str):
    (tmp_path / "folder").mkdir()
    named = target.replace("{}", str(tmp_path) if target[0] == "{" else tmp_path.name)
    (tmp_path / "link").symlink_to(named)
    (tmp_path / "chain").symlink_to(tmp_path / "link")
    temporary, at = begun(shell, tmp_path / "chain")
    assert at.resolve() == (tmp_path / "chain").resolve()
    assert temporary.parent.resolve() == at.parent.resolve()


def test_what_is_no_file_is_told(shell: tuple[str, ...], tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for path, code in (("loop", 91), ("no/file", 91), ("file/file", 92), (".", 94)):
        assert run(shell, file_scripts.BEGIN, tmp_path / path, ".own", "o")[0] == code
    assert not (tmp_path / ".own").exists()
    for path, code in (("loop", 91), ("no", 91), (".", 94), ("file", 0)):
        assert run(shell, file_scripts.REGULAR, tmp_path / path)[0] == code


def test_directories_are_made_with_their_mode(shell: tuple[str, ...], tmp_path: Path):
    path = tmp_path / "a" / ODD / "b"
    assert run(shell, file_scripts.MAKE, path, "", "700")[0] == 91
    assert run(shell, file_scripts.MAKE, path, "p", "700")[0] == 0
    assert [each.stat().st_mode & 0o777 for each in (path, path.parent)] == [0o700, 0o700]
    assert run(shell, file_scripts.MAKE, path, "p", "755")[0] == 0
    assert run(shell, file_scripts.MAKE, path, "", "755")[0] == 95
    (tmp_path / "file").touch()
    assert run(shell, file_scripts.MAKE, tmp_path / "file", "p", "755")[0] == 95
    assert run(shell, file_scripts.MAKE, tmp_path / "file/a", "", "755")[0] == 92
