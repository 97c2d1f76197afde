"""Where a path inside a container leads, as the archive API sees it.

The engine follows links inside the container's root, and tells where one ends. What is mounted by
the container's own runtime alone it does not see: it would show, or write, what is below the mount.
So each name of a path is looked at, from the root on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import join, normpath

from proad.drivers.docker.archive.client import ArchiveClient
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import path as path_of
from proad.drivers.tolerant import Value
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    FileNotFoundInsideError,
    InvalidArgumentError,
)
from proad.model import FileInfo, FileType

# Bits of the modes of Go; see fs.FileMode.
_TYPES = (
    (1 << 31, FileType.DIRECTORY),
    (1 << 27, FileType.SYMLINK),
    (1 << 25, FileType.FIFO),
    (1 << 24, FileType.SOCKET),
    (1 << 21, FileType.CHARACTER_DEVICE),
    (1 << 26, FileType.BLOCK_DEVICE),
    (1 << 19, FileType.OTHER),
)
_SPECIAL = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
_LARGEST_MODE = 2**32 - 1

# What each container has of its own runtime.
_UNSEEN = ("/proc", "/sys", "/dev")
_INIT = "/sbin/docker-init"

# Files that the engine mounts into containers, which are in no list of mounts.
_NETWORK_FILES = {
    "ResolvConfPath": "/etc/resolv.conf",
    "HostnamePath": "/etc/hostname",
    "HostsPath": "/etc/hosts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is at a path.

    Attributes:
        path: where the engine has it, without links but for the last name.
        file: what is there; None: nothing.
        missing: the names at the end of the path that are not there.
    """

    path: str
    file: FileInfo | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mounts:
    """The mounts of a container.

    Attributes:
        seen: whether the archive API sees what is mounted, by path.
        writable: whether it can be written to, by path.
    """

    seen: Mapping[str, bool]
    writable: Mapping[str, bool]

    def check(self, path: str) -> None:
        """Check that the archive API sees a path.

        Raises:
            CapabilityMissingError: it does not.
        """
        mount = _above(self.seen, path)
        if not self.seen[mount]:
            raise CapabilityMissingError(
                f"files below {mount!r}, which is mounted inside the container alone",
                driver=ENGINE,
                hint="its archive API does not see them; run a command in the container instead",
            )

    def check_writable(self, path: str) -> None:
        """Check that something can be written there.

        Raises:
            EngineConflictError: it cannot.
        """
        mount = _above(self.writable, path)
        if not self.writable[mount]:
            raise EngineConflictError(ENGINE, f"the file system at {mount!r} is read-only")
        if mount == path:
            raise EngineConflictError(
                ENGINE,
                f"{path!r} is a mount of its own, which cannot be replaced",
                hint="write into it by a command in the container",
            )


class ContainerPaths:
    """The paths of one container, for one call.

    Args:
        archive: asks the engine.
        container: id of the container.
        mounts: its mounts.
        is_running: whether its processes run.

    Attributes:
        is_running: whether its processes run.
    """

    def __init__(
        self, archive: ArchiveClient, container: str, mounts: _Mounts, *, is_running: bool
    ) -> None:
        self.is_running = is_running
        self._archive = archive
        self._container = container
        self._mounts = mounts

    @classmethod
    async def of(
        cls, engine: EngineClient, archive: ArchiveClient, container: str
    ) -> "ContainerPaths":
        """Return the paths of a container as it is now."""
        mounts, is_running = await engine.read(
            path_of(container, "/json"), lambda answer: _seen(answer.value(container))
        )
        return cls(archive, container, mounts, is_running=is_running)

    async def find(self, path: str, *, follow: bool) -> Place:
        """Return where a path leads.

        Args:
            path: absolute, without "..".
            follow: whether a link at the end is followed, too.

        Raises:
            CapabilityMissingError: the engine does not see it.
            InvalidArgumentError: it leads through what is no directory.
        """
        place = await self._at("/")
        names = path.strip("/").split("/") if path != "/" else []
        for index, name in enumerate(names):
            is_last = index == len(names) - 1
            place = await self._at(join(place.path, name))
            if place.file is not None and place.file.type is FileType.SYMLINK:
                if is_last and not follow:
                    return place
                place = await self._at(_target(place.file))
            if place.file is None:
                return Place(path=place.path, file=None, missing=(place.path, *names[index + 1 :]))
            if not is_last and place.file.type is not FileType.DIRECTORY:
                raise InvalidArgumentError.of("path", f"{place.path!r} is no directory")
        return place

    async def existing(self, path: str, *, follow: bool) -> tuple[str, FileInfo]:
        """Return where a path leads, and what is there.

        Raises:
            FileNotFoundInsideError: nothing is.
        """
        place = await self.find(path, follow=follow)
        if place.file is None:
            raise FileNotFoundInsideError(path)
        return place.path, place.file

    async def size_of(self, path: str) -> int | None:
        """Return the size of the regular file at a path, which has no links; None: there is none."""
        file = (await self._at(path)).file
        return file.size_bytes if file is not None and file.type is FileType.REGULAR else None

    def check_writable(self, path: str) -> None:
        """Check that something can be written at a path.

        Raises:
            EngineConflictError: it cannot.
        """
        self._mounts.check_writable(path)

    async def _at(self, path: str) -> Place:
        """Return what is at a path whose directory has no links."""
        self._mounts.check(path)
        told = await self._archive.stat(self._container, path)
        if told is None:
            return Place(path=path, file=None)
        file = _file(told, path)
        if file.type is FileType.SYMLINK and not file.link_target.startswith("/"):
            raise EngineConflictError(ENGINE, f"it does not tell where the link {path!r} leads")
        return Place(path=path, file=file)


def _target(link: FileInfo) -> str:
    """Return where a link ends: the engine has followed it to its end."""
    return normpath(link.link_target)


def _file(told: Value, path: str) -> FileInfo:
    mode = told["mode"].count(_LARGEST_MODE)
    return FileInfo(
        name=path.rpartition("/")[2] or "/",
        type=next((type for bit, type in _TYPES if mode & bit), FileType.REGULAR),
        size_bytes=told["size"].count(),
        mode=mode & 0o777 | sum(bits for bit, bits in _SPECIAL if mode & bit),
        modify_time=told["mtime"].time(),
        link_target=told["linkTarget"].text(),
    )


def _seen(container: Value) -> tuple[_Mounts, bool]:
    """Return the mounts of a container, and whether its processes run."""
    state = container["State"]
    # The flags overlap.
    is_held = state["Paused"].flag() or state["Restarting"].flag()
    return _mounts(container), state["Running"].flag() and not is_held


def _mounts(container: Value) -> _Mounts:
    host = container["HostConfig"]
    seen = {"/": True} | dict.fromkeys(_UNSEEN, False)
    if host["Init"].flag():
        seen[_INIT] = False
    writable = {"/": not host["ReadonlyRootfs"].flag()}
    for key, path in _NETWORK_FILES.items():
        if container[key].text():
            seen[path] = writable[path] = True
    tmpfs = [path for path, _ in host["Tmpfs"].entries()]
    for mount in container["Mounts"].each():
        path = mount["Destination"].text()
        if mount["Type"].text() == "tmpfs":
            tmpfs.append(path)
        else:
            seen[normpath(path)], writable[normpath(path)] = True, mount["RW"].flag()
    seen |= {normpath(path): False for path in tmpfs}
    return _Mounts(seen=seen, writable=writable)


def _above(mounts: Mapping[str, bool], path: str) -> str:
    """Return the mount that a path is in."""
    while path not in mounts:
        path = path.rpartition("/")[0] or "/"
    return path
