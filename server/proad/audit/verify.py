"""What was done to the log behind the daemon's back, as far as its lines tell."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from proad.audit.chain import Line, key_id
from proad.audit.files import LogFile, log_files, read_file
from proad.errors import SetupError
from proad.store.audit import AuditHead


class Damage(IntEnum):
    """What is wrong with a log, and the exit code of `proad audit verify` for it."""

    # The last line was not written to its end, as a crash leaves it.
    TORN = 3
    # Lines are missing at the end.
    CUT = 4
    # Lines were changed, moved, added, or are missing elsewhere than at the end.
    CHANGED = 5
    # Lines cannot be checked: the key of their file is not kept any more.
    UNVERIFIABLE = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One damage.

    Attributes:
        damage: what kind.
        file: name of the file; empty: a file is missing.
        text: what and where, for people.
    """

    damage: Damage
    file: str
    text: str


@dataclass(slots=True)
class AuditReport:
    """What a check found.

    Attributes:
        files: number of the files.
        lines: number of their lines.
        first, last: numbers of the first and the last line.
        findings: what is wrong.
        notes: what is as it should be, and good to know.
    """

    files: int = 0
    lines: int = 0
    first: int = 0
    last: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def torn(self) -> bool:
        """Whether a line was not written to its end, which may be one that is being written."""
        return any(finding.damage is Damage.TORN for finding in self.findings)

    @property
    def damage(self) -> Damage | None:
        """The worst that was found."""
        worst = (Damage.CHANGED, Damage.CUT, Damage.UNVERIFIABLE, Damage.TORN)
        found = {finding.damage for finding in self.findings}
        return next((each for each in worst if each in found), None)


def verify(
    folder: Path, keys: Sequence[bytes], daemon_id: str, head: AuditHead | None
) -> AuditReport:
    """Check all files of a log.

    Args:
        folder: the folder of the files.
        keys: the keys of the chain.
        daemon_id: id of the daemon.
        head: how far the log had come, as the database has it; read before the files.

    Raises:
        SetupError: a file cannot be read, or is not the daemon's own.
    """
    try:
        files = [read_file(path) for _first, path in log_files(folder)]
    except OSError as error:
        raise SetupError(f"{error.filename or folder}: {error.strerror}") from error
    check = _Check({key_id(key): key for key in keys}, daemon_id, head)
    for place, file in enumerate(files):
        check.file(file, files[place + 1] if place + 1 < len(files) else None)
    check.end(files)
    return check.report


class _Check:
    def __init__(self, keys: dict[str, bytes], daemon_id: str, head: AuditHead | None) -> None:
        self.report = AuditReport()
        self._keys = keys
        self._daemon_id = daemon_id
        self._head = head
        self._head_seen = False
        self._before: tuple[int, bytes, str] | None = None

    def file(self, file: LogFile, following: LogFile | None) -> None:
        """Check a file, after those before it."""
        header, report = file.header, self.report
        report.files += 1
        report.lines += len(file.lines)
        if header is None or header.fields.get("daemon") != self._daemon_id:
            self._find(Damage.CHANGED, file, "does not begin as a file of this daemon's log does")
        key = None if header is None else self._keys.get(str(header.fields.get("key")))
        if header is not None:
            self._check_start(file, header)
        if header is not None and key is None:
            self._check_without_key(file, following)
        self._check_lines(file, header, key)
        for place in file.unreadable:
            self._find(Damage.CHANGED, file, f"the line at byte {place} is no line of the log")
        if file.torn:
            where = f"the last line, at byte {file.end}, was not written to its end"
            self._find(Damage.CHANGED if following else Damage.TORN, file, where)

    def end(self, files: Sequence[LogFile]) -> None:
        """Check what the last file tells of the first, and what the database knows."""
        report, head = self.report, self._head
        last = files[-1] if files else None
        header = last.header if last else None
        oldest = header.fields.get("oldest") if header else None
        if isinstance(oldest, int) and report.first > oldest:
            text = f"the files with the lines {oldest} to {report.first - 1} are missing"
            report.findings.append(Finding(Damage.CHANGED, "", text))
        if head is None:
            report.notes.append(
                "the database does not know how far the log had come: "
                "it cannot be told whether its end is missing"
            )
        elif head.sequence > report.last:
            text = f"the lines {report.last + 1} to {head.sequence} are missing at the end"
            report.findings.append(Finding(Damage.CUT, last.path.name if last else "", text))
        elif not self._head_seen:
            text = f"line {head.sequence} is not the one that the database knows"
            report.findings.append(Finding(Damage.CHANGED, "", text))

    def _check_start(self, file: LogFile, header: Line) -> None:
        """Check that a file follows the one before it, which it describes."""
        if self._before is None:
            self.report.first = header.sequence
            if header.sequence > 1 and "previous" not in header.fields:
                text = f"the lines 1 to {header.sequence - 1} were missing when it was begun"
                self._find(Damage.CUT, file, text)
            return
        sequence, value, digest = self._before
        previous = header.fields.get("previous")
        told = previous if isinstance(previous, dict) else {}
        ended = told.get("sequence")
        if isinstance(ended, int) and ended > sequence:
            text = f"the lines {sequence + 1} to {ended}, before it, are missing"
            self._find(Damage.CHANGED, file, text)
        elif (ended, told.get("value"), told.get("sha256")) != (sequence, value.hex(), digest):
            self._find(Damage.CHANGED, file, "the file before it is not as it was when it ended")

    def _check_without_key(self, file: LogFile, following: LogFile | None) -> None:
        """Note that a file is known by its digest alone, which the next one has."""
        if following is None:
            self._find(Damage.UNVERIFIABLE, file, "its key is not kept any more")
        else:
            self.report.notes.append(
                f"{file.path.name}: its key is not kept any more; checked by its digest"
            )

    def _check_lines(self, file: LogFile, header: Line | None, key: bytes | None) -> None:
        value = file.value_before
        sequence = (header or file.lines[0][1]).sequence - 1 if file.lines else self.report.last
        for place, line in file.lines:
            where = f"line {line.sequence}, at byte {place},"
            if key is not None and not line.follows(key, value):
                self._find(Damage.CHANGED, file, f"{where} is not as it was written there")
            if not line.succeeds(sequence):
                self._find(Damage.CHANGED, file, f"{where} stands after line {sequence}")
            if "missing_to" in line.fields:
                lost = f"{line.fields.get('missing_from')} to {line.fields['missing_to']}"
                how = "taken away before" if line is header else "missing at the start of"
                text = f"the lines {lost} were {how} {line.fields.get('time')}"
                self._find(Damage.CUT, file, text)
            if torn := line.fields.get("torn_bytes"):
                self.report.notes.append(
                    f"{file.path.name}: {torn} bytes of a line that was not written to its end "
                    f"were taken away at the start of {line.fields.get('time')}"
                )
            sequence, value = line.sequence, line.value
            if self._head is not None and (sequence, value.hex()) == (
                self._head.sequence,
                self._head.value,
            ):
                self._head_seen = True
        self._before = sequence, value, file.digest
        self.report.last = max(self.report.last, sequence)

    def _find(self, damage: Damage, file: LogFile, text: str) -> None:
        self.report.findings.append(Finding(damage, file.path.name, text))
