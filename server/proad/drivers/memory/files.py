"""Files inside imitated workloads, which are kept in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.file_tree import MemoryTree, Node
from proad.model import (
    DirectoryMake,
    FileInfo,
    FileRead,
    FileRemoval,
    FileWrite,
    ResourceKind,
    ResourceState,
    pieces,
)
from proad.model.verbs import entering_refusal

_AT_REST = frozenset({ResourceState.PAUSED, ResourceState.STOPPED})


class MemoryReader:
    """See `ports.FileReader`."""

    def __init__(self, node: Node, what: FileRead) -> None:
        self.info = node.info
        end = None if what.length is None else what.offset + what.length
        self._data = node.data[what.offset : end]

    async def data(self) -> AsyncIterator[bytes]:
        """Yield the bytes that were asked for."""
        for piece in pieces(self._data):
            yield piece


class MemoryWriter:
    """See `ports.FileWriter`."""

    def __init__(self, tree: MemoryTree, what: FileWrite) -> None:
        self._tree = tree
        self._what = what
        self._data = bytearray()

    async def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._data += data

    async def commit(self) -> None:
        """Put the file in its place."""
        self._tree.put(self._what, bytes(self._data))


class MemoryFiles:
    """Keeps the files of imitated workloads; see `ports.Files`."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def stat_file(self, id: str, path: str) -> FileInfo:
        """Return what is known of one file."""
        return self._tree(id).node(path).info

    async def list_files(self, id: str, path: str) -> AsyncIterator[FileInfo]:
        """Yield what is in a directory."""
        for node in self._tree(id, at_rest=False).inside(path):
            yield node.info

    @asynccontextmanager
    async def read_file(self, id: str, what: FileRead) -> AsyncIterator[MemoryReader]:
        """Open a file for reading."""
        yield MemoryReader(self._tree(id).regular(what.path), what)

    @asynccontextmanager
    async def write_file(self, id: str, what: FileWrite) -> AsyncIterator[MemoryWriter]:
        """Begin a file."""
        tree = self._tree(id)
        tree.check(what)
        yield MemoryWriter(tree, what)

    async def make_directory(self, id: str, what: DirectoryMake) -> None:
        """Make a directory."""
        self._tree(id).make_directory(what)

    async def remove_file(self, id: str, what: FileRemoval) -> None:
        """Remove a file or a directory."""
        self._tree(id, at_rest=False).remove(what)

    def _tree(self, id: str, *, at_rest: bool = True) -> MemoryTree:
        """Return the files of a workload that is in a state for it."""
        workload = self._engine.workload(id)
        resource = workload.resource
        at_rest = at_rest and resource.kind is ResourceKind.CONTAINER
        if not (at_rest and resource.state in _AT_REST) and (error := entering_refusal(resource)):
            raise error
        if workload.files is None:
            workload.files = MemoryTree()
        return workload.files
