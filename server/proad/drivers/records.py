"""What a driver that is used alone remembers: in memory, or in a file."""

import os
from collections.abc import Collection
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import TypeAdapter

from proad.ports.records import VolumeRecord

_ADAPTER = TypeAdapter(dict[str, dict[str, VolumeRecord]])


class LocalVolumeRecords:
    """The records of volumes, for one process; implements `core.records.VolumeRecords`.

    Args:
        file: where they are kept beyond the process; None: nowhere. It must be where
            nobody else may write.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._engines: dict[str, dict[str, VolumeRecord]] = {}
        if file is not None and file.exists():
            self._engines = _ADAPTER.validate_json(file.read_bytes())

    async def list(self, engine: str) -> list[VolumeRecord]:
        """Give all records of an engine."""
        return list(self._engines.get(engine, {}).values())

    async def put(self, engine: str, record: VolumeRecord) -> None:
        """Keep a record, in place of the one with its id if there is one."""
        self._engines.setdefault(engine, {})[record.id] = record
        self._write()

    async def remove(self, engine: str, ids: Collection[str]) -> None:
        """End records by their ids."""
        for id in ids:
            self._engines.get(engine, {}).pop(id, None)
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        # Whole or not at all: a process that dies in between leaves the file before.
        with NamedTemporaryFile(dir=self._file.parent, delete=False) as written:
            written.write(_ADAPTER.dump_json(self._engines, indent=2))
            written.flush()
            os.fsync(written.fileno())
        Path(written.name).replace(self._file)
