"""Records of resources for a core without a database: in memory."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from proad.ports.records import EngineIdentity, ResourceRecord


class LocalResourceRecords:
    """Records of resources for one process; implements `ports.records.ResourceRecords`."""

    def __init__(self) -> None:
        self._engines: dict[EngineIdentity, dict[str, ResourceRecord]] = {}

    async def batches(self, engine: EngineIdentity) -> AsyncIterator[Sequence[ResourceRecord]]:
        """Yield all records of an engine."""
        yield list(self._engines.get(engine, {}).values())

    async def put(self, engine: EngineIdentity, record: ResourceRecord) -> None:
        """Store a record, and replace one with the same mark."""
        self._engines.setdefault(engine, {})[record.mark] = record

    async def remove(self, engine: EngineIdentity, marks: Collection[str]) -> None:
        """Remove records by their marks."""
        for mark in marks:
            self._engines.get(engine, {}).pop(mark, None)


class NoOwnerNames:
    """The names of owners where there are none; implements `ports.records.OwnerNames`."""

    async def names(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return no names."""
        del ids
        return {}
