"""Directories that are copied between this machine and resources, file by file.

What a resource tells of its directories is not believed: a copy on this machine is written by
descriptors of the directories that it is in, each of which is opened without following a link, so that
nothing is written anywhere else, whatever the names are and whatever becomes of the copy meanwhile.
"""

import errno
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from proa import v1
from proa.errors import AlreadyExists, Error
from proa.files import FORMATS
from proa.inside_files import FileCalls

PERMISSIONS = 0o777
"""What a copy gets of a mode: no program of a resource gets rights on this machine, or the reverse."""

MOST_ENTRIES = 1_000_000
"""Files and directories of a tree, at most: a resource may tell of any number."""
MOST_LEVELS = 128
"""Directories within each other, at most: each is open while what is in it is copied."""

# What is wrong with one file, and not with all of them.
_OF_ONE_FILE = frozenset(
    {
        "ALREADY_EXISTS",
        "CAPABILITY_MISSING",
        "ENGINE_CONFLICT",
        "FILE_NOT_FOUND",
        "HOST_EXHAUSTED",
        "INVALID_ARGUMENT",
    }
)
_OF_ALL_FILES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_OTHER = "no regular file"
_NO_TEXT = "its name is no text"
_OF_FOLDERS = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """What became of one file or directory of a tree that is copied.

    Attributes:
        path: its path below the directory that is copied. In the names of a resource there may be
            anything, such as what steers a terminal.
        is_directory: whether it is a directory.
        size_bytes: bytes of the file that were copied.
        left_out: what it is, such as "a symbolic link", if nothing is copied of that; else empty.
        error: why it was not copied; None: it was, or is left out.
    """

    path: str
    is_directory: bool = False
    size_bytes: int = 0
    left_out: str = ""
    error: Error | OSError | ValueError | None = None


def permitted(mode: int) -> int:
    """Return what a copy on this machine gets of a mode: never what the caller's own files do not."""
    try:
        status = Path("/proc/thread-self/status").read_text(errors="replace")
        mask = int(status.partition("\nUmask:")[2].split()[0], 8)
    except (OSError, IndexError):  # of another system
        os.umask(mask := os.umask(0o077))
    return mode & PERMISSIONS & ~mask


def with_name(error: OSError, path: str | Path) -> OSError:
    """Return an error of this machine with the file that its caller knows."""
    return OSError(error.errno, error.strerror or str(error), str(path))


@contextmanager
def new_file(folder: int, name: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Return a new file, which gets its name if the block ends well; else nothing is left of it.

    Args:
        folder: descriptor of its directory.
        name: of a file there.
        overwrite: whether it takes the place of a file, or of a link, of this name.

    Raises:
        FileExistsError: there is one, without `overwrite`.
    """
    temporary = f".proa-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is a descriptor
            yield file
        if overwrite:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


@contextmanager
def opened_folder(
    path: str | Path, *, within: int | None = None, follow: bool = False
) -> Iterator[int]:
    """Return the descriptor of a directory, which is open while the block runs.

    Args:
        path: of the directory.
        within: descriptor of the directory that a relative path begins in; None: the working one.
        follow: whether it may be a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class TreeDownload:
    """Copies a directory out of a resource.

    Args:
        client: makes the calls.
        id: of the resource.
        overwrite: whether files may take the place of others.
    """

    def __init__(self, client: FileCalls, id: str, *, overwrite: bool) -> None:
        self._client = client
        self._id = id
        self._overwrite = overwrite
        self._target = Path()
        self._count = 0

    def copy(self, path: str, target: Path) -> Iterator[TreeEntry]:
        """Copy what is in the directory `path` into `target`, which is made if it is not there."""
        self._target = target
        source = self._client.stat_file(self._id, path)
        listing = self._client.list_files(self._id, path)
        first = next(listing, None)  # or it is no directory, and nothing is made
        made = _made(target)
        # A directory that was there is the caller's own, and may be a link.
        with opened_folder(target, follow=not made) as folder:
            if first is not None:
                yield from self._entry(first, path, folder, "")
            yield from self._entries(listing, path, folder, "")
            if made:
                is_link = source.type != v1.FILE_TYPE_DIRECTORY
                os.fchmod(folder, permitted(_OF_FOLDERS if is_link else source.mode))

    def _entries(
        self, listing: Iterator[v1.FileInfo], path: str, folder: int, below: str
    ) -> Iterator[TreeEntry]:
        while True:
            try:
                file = next(listing, None)
            except Error as error:
                if not below:
                    raise
                yield _failed(below, error, self._target, is_directory=True)
                return
            if file is None:
                return
            yield from self._entry(file, path, folder, below)

    def _entry(self, file: v1.FileInfo, path: str, folder: int, below: str) -> Iterator[TreeEntry]:
        self._count += 1
        if self._count > MOST_ENTRIES:
            raise ValueError(f"there are more than {MOST_ENTRIES} files; copy a part of them")
        at, inside = _join(below, file.name), f"{path.rstrip('/')}/{file.name}"
        if why := _unfit(file):
            yield TreeEntry(path=at, error=ValueError(why))
        elif file.type == v1.FILE_TYPE_DIRECTORY and at.count("/") >= MOST_LEVELS:
            yield TreeEntry(path=at, is_directory=True, error=_too_deep())
        elif file.type == v1.FILE_TYPE_DIRECTORY:
            yield from self._directory(file, inside, folder, at)
        elif file.type == v1.FILE_TYPE_REGULAR:
            yield self._file(file.name, inside, folder, at)
        else:
            yield TreeEntry(path=at, left_out=_KINDS.get(FORMATS.get(file.type, 0), _OTHER))

    def _directory(self, file: v1.FileInfo, path: str, folder: int, at: str) -> Iterator[TreeEntry]:
        with ExitStack() as opened:
            try:
                made = _made(file.name, within=folder)
                inner = opened.enter_context(opened_folder(file.name, within=folder))
            except OSError as error:
                yield _failed(at, error, self._target, is_directory=True)
                return
            yield TreeEntry(path=at, is_directory=True)
            yield from self._entries(self._client.list_files(self._id, path), path, inner, at)
            if made:
                os.fchmod(inner, permitted(file.mode))

    def _file(self, name: str, path: str, folder: int, at: str) -> TreeEntry:
        size = 0
        try:
            with (
                self._client.read_file(self._id, path) as file,
                new_file(folder, name, overwrite=self._overwrite) as copy,
            ):
                for data in file:
                    copy.write(data)
                    size += len(data)
                os.fchmod(copy.fileno(), permitted(file.info.mode))
        except (Error, OSError) as error:
            return _failed(at, error, self._target)
        return TreeEntry(path=at, size_bytes=size)


class TreeUpload:
    """Copies a directory into a resource.

    Args:
        client: makes the calls.
        id: of the resource.
        overwrite: whether files may take the place of others.
    """

    def __init__(self, client: FileCalls, id: str, *, overwrite: bool) -> None:
        self._client = client
        self._id = id
        self._overwrite = overwrite
        self._source = Path()

    def copy(self, source: Path, path: str) -> Iterator[TreeEntry]:
        """Copy what is in the directory `source` into `path`, which is made if it is not there."""
        self._source = source
        with opened_folder(source, follow=True) as folder:
            mode = os.fstat(folder).st_mode & PERMISSIONS
            try:
                self._client.make_directory(self._id, path, mode=mode | stat.S_IRWXU)
            except AlreadyExists:  # which it may, if it is a directory
                self._client.make_directory(self._id, path, parents=True)
            yield from self._entries(folder, path, "")

    def _entries(self, folder: int, path: str, below: str) -> Iterator[TreeEntry]:
        for name in sorted(os.listdir(folder)):
            at = _join(below, name)
            try:
                name.encode()
            except UnicodeEncodeError:
                text = os.fsencode(at).decode(errors="replace")
                yield TreeEntry(path=text, error=ValueError(_NO_TEXT))
            else:
                yield from self._entry(name, folder, f"{path.rstrip('/')}/{name}", at)

    def _entry(self, name: str, folder: int, path: str, at: str) -> Iterator[TreeEntry]:
        with ExitStack() as opened:
            is_directory = False
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if is_directory := stat.S_ISDIR(mode):
                    if at.count("/") >= MOST_LEVELS:
                        raise _too_deep()
                    inner = opened.enter_context(opened_folder(name, within=folder))
                    # What is in it is to be written, too.
                    mode = mode & PERMISSIONS | stat.S_IRWXU
                    self._client.make_directory(self._id, path, parents=True, mode=mode)
                elif stat.S_ISREG(mode):
                    file = opened.enter_context(_opened_file(name, folder))
                    digest = self._client.write_file(
                        self._id,
                        path,
                        file,
                        mode=mode & PERMISSIONS,
                        overwrite=self._overwrite,
                    )
                    yield TreeEntry(path=at, size_bytes=digest.size_bytes)
                else:
                    yield TreeEntry(path=at, left_out=_KINDS.get(stat.S_IFMT(mode), _OTHER))
            except (Error, OSError) as error:
                yield _failed(at, error, self._source, is_directory=is_directory)
                return
            if is_directory:
                yield TreeEntry(path=at, is_directory=True)
                yield from self._entries(inner, path, at)


class TreeCalls(FileCalls):
    """What a client does with trees of files inside resources."""

    def download_tree(
        self, id: str, path: str, folder: str | Path, *, overwrite: bool = False
    ) -> Iterator[TreeEntry]:
        """Copy what is in a directory of a resource into a folder of this machine, file by file.

            for entry in client.download_tree("web", "/etc/app", "app"):
                if entry.error:
                    print(entry.path, entry.error)

        Iterate over it: each step copies one file. Files and directories have their permissions, and
        belong to whoever calls; links, pipes, sockets and devices are left out. Nothing is written
        outside of `folder`, whatever the resource tells, and links in it are not followed.
        It takes a shell in the resource, as `list_files`.

        Args:
            id: id of the resource, as in all calls.
            path: absolute path of the directory inside it.
            folder: where to; made unless it is there, in a directory that is.
            overwrite: whether files may take the place of others.

        Raises:
            proa.Error: it cannot go on. What is wrong with one file is in its entry.
            OSError: this machine cannot go on, such as for want of room.
            ValueError: there are more than a million files.
        """
        return TreeDownload(self, id, overwrite=overwrite).copy(path, Path(folder))

    def upload_tree(
        self, folder: str | Path, id: str, path: str, *, overwrite: bool = False
    ) -> Iterator[TreeEntry]:
        """Copy what is in a folder of this machine into a directory of a resource, file by file.

        The reverse of `download_tree`, which see.

        Args:
            folder: what to copy.
            id: id of the resource, as in all calls.
            path: absolute path of the directory inside it; made unless it is there, in one that is.
            overwrite: whether files may take the place of others.
        """
        return TreeUpload(self, id, overwrite=overwrite).copy(Path(folder), path)


@contextmanager
def _opened_file(name: str, folder: int) -> Iterator[IO[bytes]]:
    """Return a regular file that is open for reading, which is no link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, flags, dir_fd=folder), "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file any more")
        yield file


def _made(path: str | Path, *, within: int | None = None) -> bool:
    """Make a directory, private until it is whole; return whether it was not there."""
    try:
        os.mkdir(path, 0o700, dir_fd=within)
    except FileExistsError:
        return False
    return True


def _too_deep() -> OSError:
    return OSError(errno.ELOOP, f"it lies more than {MOST_LEVELS} directories deep; copy it alone")


def _failed(
    at: str, error: Error | OSError, here: Path, *, is_directory: bool = False
) -> TreeEntry:
    """Return what became of a file of a tree, which is `here`; raise what is wrong with all of them."""
    if isinstance(error, Error):
        is_of_one = error.reason in _OF_ONE_FILE
    else:
        is_of_one = error.errno not in _OF_ALL_FILES
    if not is_of_one:
        raise error if isinstance(error, Error) else with_name(error, here / at)
    return TreeEntry(path=at, is_directory=is_directory, error=error)


def _unfit(file: v1.FileInfo) -> str:
    """Return why a file cannot have its name on this machine; empty: it can."""
    if file.raw_name:
        return _NO_TEXT
    if file.name in {"", ".", ".."} or "/" in file.name:
        return "no file can have such a name here"
    if any(unicodedata.category(each) == "Cc" for each in file.name):
        return "its name has control characters"
    return ""


def _join(below: str, name: str) -> str:
    return f"{below}/{name}" if below else name
