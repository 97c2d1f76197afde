"""The entries of the store, by engine and id, by name, and in order."""

from collections.abc import Iterator

from proad.core.inventory.entry import StoredEntry
from proad.core.inventory.index import ResourceIndex
from proad.model import EngineRef, Resource, ResourceKind


class EntryTable:
    """All entries, found in several ways."""

    def __init__(self) -> None:
        self.index = ResourceIndex()
        self._by_engine: dict[EngineRef, dict[str, StoredEntry]] = {}
        self._by_name: dict[str, dict[str, StoredEntry]] = {}

    def get(self, engine: EngineRef, id: str) -> StoredEntry | None:
        """Return the entry of a resource; None if there is no such resource."""
        return self._by_engine.get(engine, {}).get(id)

    def of(self, engine: EngineRef) -> Iterator[StoredEntry]:
        """Return all resources of an engine."""
        return iter(self._by_engine.get(engine, {}).values())

    def named(self, name: str) -> Iterator[StoredEntry]:
        """Return all resources of that name."""
        return iter(self._by_name.get(name, {}).values())

    def with_id(self, id: str) -> Iterator[StoredEntry]:
        """Return all resources of that full id."""
        return (there[id] for there in self._by_engine.values() if id in there)

    def starting(self, digits: str, engine: EngineRef, kind: ResourceKind) -> Iterator[StoredEntry]:
        """Return the resources whose full id, without hyphens, starts so, in order of id."""
        there = self._by_engine.get(engine, {})
        return (there[id] for id in self.index.starting(digits, engine, kind))

    def owned(self, engine: EngineRef, kind: ResourceKind, owner_id: str) -> Iterator[StoredEntry]:
        """Return the resources of an owner."""
        there = self._by_engine.get(engine, {})
        return (there[id] for id in self.index.owned(engine, kind, owner_id))

    def add(self, entry: StoredEntry) -> None:
        """Add an entry."""
        self._by_engine.setdefault(entry.engine, {})[entry.observed.id] = entry
        self.index.put(entry.engine, entry.observed)
        self._by_name.setdefault(entry.observed.name, {})[entry.path] = entry

    def remove(self, entry: StoredEntry) -> None:
        """Remove an entry."""
        del self._by_engine[entry.engine][entry.observed.id]
        self.index.remove(entry.engine, entry.observed.id)
        named = self._by_name[entry.observed.name]
        del named[entry.path]
        if not named:
            del self._by_name[entry.observed.name]

    def observe(self, entry: StoredEntry, observed: Resource) -> None:
        """Set what was read of a resource, which may have another name by now."""
        if entry.observed.name == observed.name:
            entry.observed = observed
            self.index.put(entry.engine, observed)
            return
        self.remove(entry)
        entry.observed = observed
        self.add(entry)
