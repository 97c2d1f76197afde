"""Bare appends to a file that are brought to disk, as large as the audit log's."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

# Of an intent and of the outcome of the call before, which share a sync.
_BYTES_A_CALL = 800


class Append:
    """A file, for as long as the block runs.

    Args:
        path: where.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def twice(self) -> None:
        """Append what two calls write, one after the other."""
        for _ in range(2):
            os.write(self._file, bytes(_BYTES_A_CALL))
            os.fdatasync(self._file)
