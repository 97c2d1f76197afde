"""Records of resources, volumes and images for a core without a database: in memory."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from proad.ports.records import EngineIdentity, ImageRecord, ResourceRecord, VolumeOwner


class LocalResourceRecords:
    """Records of resources for one process; implements `ports.records.ResourceRecords`."""

    def __init__(self) -> None:
        self._engines: dict[EngineIdentity, dict[str, ResourceRecord]] = {}

    async def engines(self) -> Collection[EngineIdentity]:
        """Return the engines that have records."""
        return [engine for engine, records in self._engines.items() if records]

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


class LocalVolumeOwners:
    """The owners of volumes for one process; implements `ports.records.VolumeOwners`."""

    def __init__(self) -> None:
        self._engines: dict[EngineIdentity, dict[str, VolumeOwner]] = {}

    async def put(self, engine: EngineIdentity, owners: Collection[VolumeOwner]) -> None:
        """Store owners, and replace those with the same ids."""
        self._engines.setdefault(engine, {}).update({each.id: each for each in owners})

    async def remove(self, engine: EngineIdentity, ids: Collection[str]) -> None:
        """Remove owners by the ids of their volumes."""
        for id in ids:
            self._engines.get(engine, {}).pop(id, None)

    async def list(self, engine: EngineIdentity) -> Sequence[VolumeOwner]:
        """Return all owners of an engine's volumes."""
        return list(self._engines.get(engine, {}).values())


class LocalImageRecords:
    """Records of images for one process; implements `ports.records.ImageRecords`."""

    def __init__(self) -> None:
        self._records: set[ImageRecord] = set()

    async def all(self) -> list[ImageRecord]:
        """Return all records."""
        return list(self._records)

    async def put(self, record: ImageRecord) -> None:
        """Store a record."""
        self._records.add(record)

    async def remove(self, records: Collection[ImageRecord]) -> None:
        """Remove records."""
        self._records.difference_update(records)


class NoOwners:
    """Owners where there are none; implements `ports.records.Owners`."""

    async def names(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return no names."""
        del ids
        return {}

    async def unrestricted(self, ids: Collection[str]) -> Collection[str]:
        """Return nobody."""
        del ids
        return ()
