"""What becomes of a log whose file somebody moves, deletes or cuts while it is written."""

import json
import os
import subprocess

import pytest

from proad.audit import Damage
from unit.audit.logs import Log, write


def delete(path):
    path.unlink()


def move(path):
    path.rename(path.with_suffix(".1"))


def move_and_create(path):
    """Do as logrotate with `create` does."""
    move(path)
    path.touch(mode=0o600)


def empty(path):
    """Do as logrotate with `copytruncate` does."""
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def writing(tmp_path):
    """A log that is being written, and its writer."""
    log = Log(tmp_path / "audit")
    writer = log.writer()
    writer.load(None)
    write(writer, {"kind": "note", "number": 1})
    yield log, writer
    writer.close()


@pytest.mark.parametrize("take_away", [delete, move, move_and_create, empty, cut])
def test_write_after_the_file_was_taken_away_begins_another_that_says_so(writing, take_away):
    log, writer = writing
    gone = log.files()[0]
    take_away(gone)
    left = gone.read_bytes() if gone.exists() else None

    write(writer, {"kind": "note", "number": 2})
    last = [path for path in log.files() if path.suffix == ".jsonl"][-1]
    header, note = map(json.loads, last.read_bytes().splitlines())
    assert (header["missing_from"], header["missing_to"]) == (1, 2)
    assert (note["number"], note["sequence"]) == (2, 4)

    writer.close()
    assert (gone.read_bytes() if gone.exists() else None) == left
    report = log.verify(writer.head)
    assert report.damage in {Damage.CUT, Damage.CHANGED}
    assert any("the lines 1 to 2 were taken away before" in each.text for each in report.findings)


def test_write_after_the_folder_was_taken_away_is_refused(writing):
    log, writer = writing
    log.folder.rename(log.folder.with_name("elsewhere"))

    with pytest.raises(FileNotFoundError):
        write(writer, {"kind": "note", "number": 2})
    log.folder.with_name("elsewhere").rename(log.folder)
    write(writer, {"kind": "note", "number": 3})
    assert log.verify(writer.head).damage is None


def test_write_after_the_folder_became_a_link_is_refused_and_writes_nothing_there(
    writing, tmp_path
):
    log, writer = writing
    log.folder.rename(tmp_path / "before")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    log.folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError, match="is a symbolic link"):
        write(writer, {"kind": "note", "number": 2})
    assert list((tmp_path / "elsewhere").iterdir()) == []
    log.folder.unlink()
    (tmp_path / "before").rename(log.folder)
    write(writer, {"kind": "note", "number": 3})
    assert log.verify(writer.head).damage is None


def test_first_write_to_a_file_that_became_a_link_is_an_error_of_the_file_system(writing, tmp_path):
    """Any other ends the thread that writes, and nobody's call would end."""
    log, before = writing
    before.close()
    writer = log.writer()
    writer.load(before.head)
    file = log.files()[0]
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError, match="is a symbolic link"):
        writer.next()


def test_start_after_a_file_was_taken_away_goes_on_and_it_stays_visible(writing):
    log, writer = writing
    delete(log.files()[0])
    write(writer, {"kind": "note", "number": 2})
    writer.close()
    log.head = writer.head

    assert log.run(1).told() == {}
    assert log.verify().damage is Damage.CUT


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for an attribute of a file")
def test_file_that_may_only_be_appended_to_is_followed_by_another_at_its_end(writing):
    log, writer = writing
    (file,) = log.files()
    if subprocess.run(["chattr", "+a", file], capture_output=True, check=False).returncode:
        pytest.skip("the file system of the tests has no such attribute")
    try:
        for number in range(2, 12):
            write(writer, {"kind": "note", "number": number})
    finally:
        subprocess.run(["chattr", "-a", file], check=True)
    assert len(log.files()) > 2
    assert log.verify(writer.head).damage is None
