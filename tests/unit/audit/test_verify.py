"""What `verify` tells of a log that somebody changed, and of one that a crash left."""

import json
import re
import shutil

import pytest

from proad.audit import AuditOptions, Damage
from unit.audit.logs import Log, head, write


def told(report):
    return " | ".join(finding.text for finding in report.findings)


def replace_line(log, wanted, change):
    """Change the line with a number; `change` gets it with its end."""
    for path in log.files():
        lines = path.read_bytes().splitlines(keepends=True)
        for place, line in enumerate(lines):
            if json.loads(line)["sequence"] == wanted:
                lines[place] = change(line)
                path.write_bytes(b"".join(lines))
                return
    raise AssertionError(f"no line {wanted}")


def test_untouched_log_of_several_files_and_runs_is_intact(log):
    report = log.verify()

    assert len(log.files()) > 3
    assert (report.damage, report.findings, report.first) == (None, [], 1)
    assert report.last == report.lines == log.head.sequence


def test_lines_have_consecutive_numbers_over_files_and_runs(log):
    numbers = [json.loads(line)["sequence"] for line in log.lines()]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("wanted", [1, 2, 7, 12, 20])
@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'"kind":"', b'"kind":"x', 1),
        lambda line: re.sub(rb'"mac":"(.)', lambda m: b'"mac":"' + (b"0" if m[1] != b"0" else b"1"), line),
        lambda line: line[:20] + bytes([line[20] ^ 1]) + line[21:],
        lambda line: b"not a line\n",
        lambda line: b"",
        lambda line: line + line,
    ],
    ids=["field", "value", "bit", "garbage", "removed", "doubled"],
)  # fmt: skip
def test_changed_line_is_found(log, wanted, change):
    replace_line(log, wanted, change)

    assert log.verify().damage is Damage.CHANGED


def test_changed_line_is_named_with_its_file_and_place(log):
    path = log.files()[2]
    first, second = path.read_bytes().splitlines(keepends=True)[:2]
    number = json.loads(second)["sequence"]
    replace_line(log, number, lambda line: line.replace(b'"kind":"', b'"kind":"x', 1))

    finding = log.verify().findings[0]
    assert finding.file == path.name
    assert finding.text == (f"line {number}, at byte {len(first)}, is not as it was written there")


def test_reordered_lines_are_found(log):
    path = log.files()[1]
    first, second, third, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, third, second, *rest]))

    report = log.verify()
    assert report.damage is Damage.CHANGED
    assert "stands after line" in told(report)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_removed_file_is_found(log, place):
    log.files()[place].unlink()

    report = log.verify()
    assert report.damage is Damage.CHANGED
    assert "are missing" in told(report)


def test_removed_last_file_is_a_cut(log):
    log.files()[-1].unlink()

    report = log.verify()
    assert report.damage is Damage.CUT
    assert (
        told(report) == f"the lines {report.last + 1} to {log.head.sequence} are missing at the end"
    )


def test_cut_tail_is_found_by_the_head_alone(log):
    path = log.files()[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))

    assert log.verify().damage is Damage.CUT
    before = log.verify(head(log.head.sequence - 2))
    assert before.damage is Damage.CHANGED  # that head has another value
    shorter = json.loads(lines[-3])
    assert log.verify(type(log.head)(shorter["sequence"], shorter["mac"])).damage is None


def test_torn_tail_is_no_cut(log):
    path = log.files()[-1]
    path.write_bytes(path.read_bytes() + b'{"sequence":99,"kind":"no')

    report = log.verify()
    assert report.damage is Damage.TORN
    assert f"at byte {len(path.read_bytes()) - 25}," in told(report)


@pytest.mark.parametrize("left", [1, 10, 100])
def test_torn_tail_that_the_head_knows_is_a_cut(log, left):
    path = log.files()[-1]
    path.write_bytes(path.read_bytes()[:-left])

    damages = {finding.damage for finding in log.verify().findings}
    assert damages == {Damage.TORN, Damage.CUT}


def test_forged_line_with_another_key_is_found(log, tmp_path):
    forger = Log(tmp_path / "forged", log.options, [b"x" * 32])
    forger.run(3)
    shutil.copy(forger.files()[0], log.folder / "audit-000000000999.jsonl")

    assert log.verify().damage is not None


def test_rewritten_history_is_found_by_the_head(log, tmp_path):
    """Whoever has the key can write another chain, but not without the database."""
    other = Log(tmp_path / "other")
    other.run(10)
    other.run(10)

    assert other.head.sequence == log.head.sequence
    report = other.verify(log.head)
    assert report.damage is Damage.CHANGED
    assert "is not the one that the database knows" in told(report)


def test_without_a_head_the_report_says_that_a_cut_cannot_be_told(log):
    log.head = None

    report = log.verify()
    assert report.damage is None
    assert "cannot be told" in report.notes[0]


def test_start_after_a_torn_tail_takes_it_away_and_says_so(log):
    path = log.files()[-1]
    path.write_bytes(path.read_bytes() + b'{"sequence":99,"kind":"no')

    damage = log.run(2)
    assert damage.told() == {"torn_bytes": 25}
    report = log.verify()
    assert report.damage is None
    assert any("25 bytes" in note for note in report.notes)


def test_start_after_a_cut_goes_on_beyond_it_and_the_cut_stays_visible(log):
    last = log.head.sequence
    path = log.files()[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    damage = log.run(2)
    assert damage.told() == {"missing_from": last, "missing_to": last}
    for _ in range(2):
        report = log.verify()
        assert report.damage is Damage.CUT
        assert f"the lines {last} to {last} were missing" in told(report)
        assert len(report.findings) == 1
        log.run(2)


def test_start_after_all_files_went_begins_beyond_the_head(log):
    last = log.head.sequence
    shutil.rmtree(log.folder)

    log.run(2)
    report = log.verify()
    assert report.damage is Damage.CUT
    assert report.first == last + 1


def test_start_after_a_changed_line_leaves_its_file_as_it_is(log):
    replace_line(log, log.head.sequence - 1, lambda line: line.replace(b"note", b"nota"))
    path = log.files()[-1]
    before = path.read_bytes()

    damage = log.run(2)
    assert damage.changed_after is not None
    assert path.read_bytes() == before
    report = log.verify()
    assert report.damage is Damage.CHANGED
    assert len(report.findings) == 1


def test_rotated_key_begins_a_file_and_the_old_ones_stay_verifiable(log):
    log.keys = [b"n" * 32, *log.keys]
    log.run(3)
    assert log.verify().damage is None

    log.keys = [b"z" * 32, log.keys[0]]
    log.run(3)
    report = log.verify()
    assert report.damage is None
    assert any("checked by its digest" in note for note in report.notes)

    replace_line(log, 3, lambda line: line.replace(b"note", b"nota"))
    assert log.verify().damage is Damage.CHANGED


def test_last_file_whose_key_is_gone_is_unverifiable(log):
    report = log.verify(keys=[b"n" * 32])

    assert report.damage is Damage.UNVERIFIABLE


def test_old_files_are_removed_and_the_rest_is_intact(tmp_path):
    log = Log(tmp_path / "audit", AuditOptions(file_bytes=1500, kept_files=3, reserved_bytes=0))
    theirs = tmp_path / "audit" / "audit-000000000000.jsonl"
    theirs.parent.mkdir(mode=0o700)
    theirs.write_bytes(b"somebody else's\n")
    notes = tmp_path / "audit" / "notes.txt"
    notes.write_bytes(b"an operator's\n")
    log.run(60)

    assert theirs.exists()
    assert notes.exists()
    theirs.unlink()
    notes.unlink()
    assert len(log.files()) == 3
    report = log.verify()
    assert (report.damage, report.findings) == (None, [])
    log.files()[0].unlink()
    assert log.verify().damage is Damage.CHANGED


def test_files_and_folder_are_the_daemons_alone(log):
    assert log.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in log.files()} == {0o600}


def test_write_that_is_not_synced_is_written_over(tmp_path):
    log = Log(tmp_path / "audit")
    fails = False

    def sync(_descriptor):
        if fails:
            raise OSError(5, "Input/output error")

    writer = log.writer(sync=sync)
    writer.load(None)
    write(writer, {"kind": "note", "number": 1})
    fails = True
    with pytest.raises(OSError, match="Input/output"):
        write(writer, {"kind": "note", "number": 2}, {"kind": "note", "number": 3})
    writer.restore()
    fails = False
    write(writer, {"kind": "note", "number": 4})
    writer.close()

    log.head = writer.head
    assert log.verify().damage is None
    assert [json.loads(line).get("number") for line in log.lines()] == [None, 1, 4]
