"""Records of volumes for a driver that is used without the daemon: in memory, or in a file."""

import os
from collections.abc import Collection
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import TypeAdapter

from proad.ports.records import VolumeRecord

_ADAPTER = TypeAdapter(dict[str, dict[str, VolumeRecord]])


class LocalVolumeRecords:
    """Records of volumes for one process; implements `ports.records.VolumeRecords`.

    Args:
        file: where the records outlive the process; None: nowhere. Nobody else may have
            write access to its folder.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._engines: dict[str, dict[str, VolumeRecord]] = {}
        if file is not None and file.exists():
            self._engines = _ADAPTER.validate_json(file.read_bytes())

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that have had records."""
        return tuple(self._engines)

    async def list(self, engine: str) -> list[VolumeRecord]:
        """Return all records of an engine."""
        return list(self._engines.get(engine, {}).values())

    async def put(self, engine: str, record: VolumeRecord) -> None:
        """Store a record; replace the one with its id."""
        self._engines.setdefault(engine, {})[record.id] = record
        self._write()

    async def remove(self, engine: str, ids: Collection[str]) -> None:
        """Remove records by their ids."""
        for id in ids:
            self._engines.get(engine, {}).pop(id, None)
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        # Written aside and renamed: a process that dies in between leaves the old file whole.
        with NamedTemporaryFile(dir=self._file.parent, delete=False) as written:
            written.write(_ADAPTER.dump_json(self._engines, indent=2))
            written.flush()
            os.fsync(written.fileno())
        Path(written.name).replace(self._file)
