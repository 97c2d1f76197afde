"""The end of the log. Blocks: everything here runs on the log's own thread."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from proad.audit.appended import AppendedFile, Sync
from proad.audit.chain import GENESIS, content, key_id, seal
from proad.audit.files import LogFile, file_name, first_line, log_files, read_file, read_header
from proad.audit.options import MIB, AuditOptions
from proad.errors import SetupError
from proad.ownership import check_own_folder
from proad.store.audit import AuditHead

_log = structlog.get_logger(__name__)

# What a line has beside its content, and more than that.
_OVERHEAD = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDamage:
    """What the log was found with at a start, or lost while it was written.

    Attributes:
        torn_bytes: bytes of a line that was not written to its end.
        missing_from, missing_to: numbers of lines that the database knows and no file has; 0: none.
        changed_after: number of the last line before one that was changed; None: none was.
    """

    torn_bytes: int = 0
    missing_from: int = 0
    missing_to: int = 0
    changed_after: int | None = None

    def told(self) -> dict[str, int]:
        """Return the fields of a line that tells of it; empty: there is none."""
        found = {}
        if self.torn_bytes:
            found["torn_bytes"] = self.torn_bytes
        if self.missing_to:
            found |= {"missing_from": self.missing_from, "missing_to": self.missing_to}
        if self.changed_after is not None:
            found["changed_after"] = self.changed_after
        return found


class LogWriter:
    """Adds lines to the log and brings them to disk; begins another file when one is full.

    A line counts once it is on disk: what was written and could not be brought there is written
    over.

    Args:
        folder: the folder of the files.
        keys: the keys of the chain, the newest first.
        daemon_id: id of the daemon.
        options: sizes.
        sync: brings a file to disk.
    """

    def __init__(
        self,
        folder: Path,
        keys: Sequence[bytes],
        daemon_id: str,
        options: AuditOptions = AuditOptions(),
        *,
        sync: Sync = os.fdatasync,
    ) -> None:
        self._folder = folder
        self._key, self._keys = keys[0], {key_id(key): key for key in keys}
        self._daemon_id = daemon_id
        self._options = options
        self._sync = self._counted(sync)
        self._last: LogFile | None = None
        self._continues = False
        self._file: AppendedFile | None = None
        self._full_at = options.file_bytes
        self._sequence = 0
        self._value = GENESIS
        self._synced = AuditHead(0, "")
        self.first = 1
        """Number of the first line that is kept."""
        self.syncs = 0
        """How often the disk was asked."""

    @property
    def head(self) -> AuditHead:
        """How far the log has come, on disk."""
        return self._synced

    def load(self, known: AuditHead | None) -> StartDamage:
        """Find the end of the log. Changes nothing.

        Args:
            known: how far it had come, as the database has it.

        Raises:
            SetupError: the folder or a file is not the daemon's own, or cannot be read.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            check_own_folder(self._folder, private=True)
            files = log_files(self._folder)
            damage = self._load(read_file(files[-1][1])) if files else StartDamage()
        except OSError as error:
            raise SetupError(f"{error.filename or self._folder}: {error.strerror}") from error
        self.first = files[0][0] if files else self._sequence + 1
        if known is not None and known.sequence > self._sequence:
            damage = replace(damage, missing_from=self._sequence + 1, missing_to=known.sequence)
            self._sequence = known.sequence
        self._synced = AuditHead(self._sequence, self._value.hex())
        return damage

    def _load(self, file: LogFile) -> StartDamage:
        """Take up the end of the last file. It is continued unless something is wrong with it."""
        self._last = file
        header = file.header
        key = self._keys.get(str(header.fields.get("key"))) if header else None
        self._value = file.value_before
        changed_after: int | None = None if header and not file.unreadable else 0
        for place, line in file.lines:
            whole = key is None or line.follows(key, self._value)
            if not (whole and (place == 0 or line.succeeds(self._sequence))):
                changed_after = self._sequence if changed_after is None else changed_after
            self._sequence, self._value = line.sequence, line.value
        self._continues = key == self._key and changed_after is None
        return StartDamage(torn_bytes=len(file.torn), changed_after=changed_after)

    def next(self) -> int:
        """Begin another file if this one is full or gone, and return the number of the next line.

        Raises:
            OSError: the log cannot be written.
        """
        if self._file is None:
            with _own():
                self._file = self._opened()
        elif not self._file.stands():
            self._file = self._replaced(self._file)
        if self._file.size >= self._full_at:
            self._file = self._rotated(self._file)
        return self._sequence + 1

    def write(self, contents: Sequence[bytes], *, of_reserve: bool = False) -> bool:
        """Add lines after `next`, all or none.

        Args:
            contents: the lines, as `chain.content` returned them.
            of_reserve: whether they may take of the reserve.

        Returns:
            Whether that was done: there is no room but the reserve, otherwise.

        Raises:
            OSError: the log cannot be written; call `restore`.
        """
        if self._file is None:
            raise ValueError("a line without a number")
        growth = sum(map(len, contents)) + _OVERHEAD * len(contents)
        if not self._file.extend(growth) and not of_reserve:
            return False
        sequence, value, data = self._sequence, self._value, bytearray()
        for each in contents:
            sequence += 1
            line, value = seal(self._key, value, sequence, each)
            data += line
        self._file.write(bytes(data))
        self._sequence, self._value = sequence, value
        return True

    def sync(self) -> None:
        """Bring to disk what was written.

        Raises:
            OSError: it may not be there; call `restore`.
        """
        if self._file is not None:
            self._file.sync()
            self._synced = AuditHead(self._sequence, self._value.hex())

    def restore(self) -> None:
        """Forget the lines since the last sync: they will be written over."""
        if self._file is not None:
            self._file.restore()
        self._sequence, self._value = self._synced.sequence, bytes.fromhex(self._synced.value)

    def close(self) -> None:
        """Give up the reserve, and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> AppendedFile:
        """Return the file that is continued, or else a new one."""
        last = self._last
        if last is None or not self._continues:
            file = self._next(last.digest if last is not None else None)
        else:
            file = AppendedFile.open(
                last.path,
                whole=last.data[: last.end],
                written=len(last.data),
                reserved_bytes=self._options.reserved_bytes,
                sync=self._sync,
            )
        self._last = None
        return file

    def _rotated(self, full: AppendedFile) -> AppendedFile:
        """Return the file that follows a full one; that one, as long as there is no room."""
        self.sync()
        try:
            following = self._next(full.digest)
        except OSError as error:
            _log.warning("no new file of the audit log", cause=error.strerror)
            self._full_at = full.size + MIB
            return full
        full.close()
        self._full_at = self._options.file_bytes
        return following

    def _replaced(self, lost: AppendedFile) -> AppendedFile:
        """Return the file that follows one that was moved, deleted or cut, and says so.

        Raises:
            OSError: none can be made.
        """
        self.sync()
        missing = StartDamage(missing_from=first_line(lost.path), missing_to=self._sequence)
        following = self._next(lost.digest, missing)
        lost.close()
        self._full_at = self._options.file_bytes
        _log.error("file of the audit log was taken away", path=str(lost.path), **missing.told())
        return following

    def _next(self, digest: str | None, missing: StartDamage = StartDamage()) -> AppendedFile:
        """Make a file that follows the one with a digest, and remove those that are not kept.

        Args:
            digest: digest of the file before; None: there is none.
            missing: the lines of that file, if it was taken away.

        Raises:
            OSError: it cannot be made.
        """
        with _own():
            check_own_folder(self._folder, private=True)
        files = log_files(self._folder)
        kept = files[max(len(files) + 1 - self._options.kept_files, 0) :]
        sequence = self._sequence + 1
        header: dict[str, Any] = {
            "kind": "file",
            "time": datetime.now(UTC),
            "daemon": self._daemon_id,
            "key": key_id(self._key),
            "oldest": kept[0][0] if kept else sequence,
            **missing.told(),
        }
        if digest is not None:
            header["previous"] = {
                "sequence": self._sequence,
                "value": self._value.hex(),
                "sha256": digest,
            }
        line, value = seal(self._key, self._value, sequence, content(header))
        path = self._folder / file_name(sequence)
        file = AppendedFile.create(
            path, reserved_bytes=self._options.reserved_bytes, sync=self._sync
        )
        try:
            file.begin(line)
            _sync_folder(self._folder)
        except OSError:
            path.unlink(missing_ok=True)
            file.close()
            raise
        self._sequence, self._value = sequence, value
        self._synced = AuditHead(sequence, value.hex())
        self.first = kept[0][0] if kept else sequence
        for first, old in files:
            if first < self.first:
                self._remove(old)
        return file

    def _remove(self, path: Path) -> None:
        """Remove a file of the log, unless it is not this daemon's."""
        try:
            header = read_header(path)
            if header is not None and header.fields.get("daemon") == self._daemon_id:
                path.unlink()
        except (OSError, SetupError) as error:
            _log.warning("old file of the audit log stays", path=str(path), cause=str(error))

    def _counted(self, sync: Sync) -> Sync:
        def counted(descriptor: int) -> None:
            self.syncs += 1
            sync(descriptor)

        return counted


@contextmanager
def _own() -> Iterator[None]:
    """Let what is not the daemon's own by now be an error as any of the file system."""
    try:
        yield
    except SetupError as error:
        raise OSError(errno.EPERM, str(error)) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
