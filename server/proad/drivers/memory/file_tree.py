"""The files of one imitated workload."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from posixpath import basename, dirname

from proad.drivers.memory.connection import NAME
from proad.drivers.posix_files import directory_not_empty
from proad.errors import (
    AlreadyExistsError,
    EngineConflictError,
    FileNotFoundInsideError,
    InvalidArgumentError,
)
from proad.model import DirectoryMake, FileInfo, FileRemoval, FileType, FileWrite

# Of one workload.
_MOST_BYTES = 64 * 2**20
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A file or a directory."""

    info: FileInfo
    data: bytes = field(default=b"", repr=False)


class MemoryTree:
    """The files of one workload, by their paths."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        for path in ("/", "/etc", "/tmp"):  # noqa: S108 - imitated
            self._put_directory(path, 0o755)

    def node(self, path: str) -> Node:
        """Return what is at a path.

        Raises:
            FileNotFoundInsideError: nothing.
        """
        if (node := self._nodes.get(path)) is None:
            raise FileNotFoundInsideError(path)
        return node

    def inside(self, path: str) -> list[Node]:
        """Return what is in a directory."""
        self.directory(path)
        return [n for at, n in self._nodes.items() if at != "/" and dirname(at) == path]

    def directory(self, path: str) -> None:
        """Check that there is a directory.

        Raises:
            InvalidArgumentError: it is none.
        """
        if self.node(path).info.type is not FileType.DIRECTORY:
            raise InvalidArgumentError.of("path", f"{path!r} is no directory")

    def regular(self, path: str) -> Node:
        """Return a regular file.

        Raises:
            InvalidArgumentError: it is none.
        """
        node = self.node(path)
        if node.info.type is not FileType.REGULAR:
            raise InvalidArgumentError.of("path", f"{path!r} is no regular file")
        return node

    def check(self, what: FileWrite) -> None:
        """Check that a file can be written."""
        self.directory(dirname(what.path))
        if what.path in self._nodes:
            self.regular(what.path)
            if not what.overwrite:
                raise AlreadyExistsError.of_a_file(what.path)
        held = sum(len(node.data) for node in self._nodes.values())
        if held + what.size_bytes > _MOST_BYTES or len(self._nodes) >= _MOST_FILES:
            raise EngineConflictError(NAME, "no space is left in the workload")

    def put(self, what: FileWrite, data: bytes) -> None:
        """Put a file in its place."""
        self.check(what)
        info = FileInfo(
            name=basename(what.path),
            size_bytes=len(data),
            mode=what.mode,
            uid=what.uid or 0,
            gid=what.gid or 0,
            modify_time=datetime.now(UTC),
        )
        self._nodes[what.path] = Node(info=info, data=data)

    def make_directory(self, what: DirectoryMake) -> None:
        """Make a directory."""
        if (there := self._nodes.get(what.path)) is not None:
            if what.parents and there.info.type is FileType.DIRECTORY:
                return
            raise AlreadyExistsError("file", what.path, hint="choose another path")
        above = dirname(what.path)
        if what.parents and above not in self._nodes:
            self.make_directory(replace(what, path=above))
        self.directory(above)
        if len(self._nodes) >= _MOST_FILES:
            raise EngineConflictError(NAME, "no space is left in the workload")
        self._put_directory(what.path, what.mode)

    def remove(self, what: FileRemoval) -> None:
        """Remove a file or a directory."""
        self.node(what.path)
        below = [path for path in self._nodes if path.startswith(f"{what.path}/")]
        if below and not what.recursive:
            raise directory_not_empty(NAME, what.path)
        for path in (*below, what.path):
            del self._nodes[path]

    def _put_directory(self, path: str, mode: int) -> None:
        self._nodes[path] = Node(
            info=FileInfo(
                name=basename(path) or "/",
                type=FileType.DIRECTORY,
                mode=mode,
                uid=0,
                gid=0,
                modify_time=datetime.now(UTC),
            )
        )
