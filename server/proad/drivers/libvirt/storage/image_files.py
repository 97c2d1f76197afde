"""The image files of a host: the identities of files, and the backing chains of images."""

import errno
import os
import re
import stat
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from proad.drivers.libvirt.storage import qcow2
from proad.drivers.libvirt.storage.files import files_behind
from proad.drivers.libvirt.storage.qcow2 import (
    Header,
    NoImageError,
    UnreadableImageError,
    printable,
)
from proad.ports.records import VolumeRecord

MAX_DEPTH = 64
# Formats whose backing files cannot be read here.
_UNREAD = frozenset({"qed", "vmdk", "vhdx", "vpc", "vdi", "parallels", "cow"})
# Errors of a path that leads to no image for anybody.
NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})

# A possible path in a name such as json:{"file":{"filename":"/…"}}.
_PATH = re.compile(r"/[^\"',;?]+")

# Returns libvirt's knowledge of the image at a path; None: none.
Asked = Callable[[str], Header | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One image of a backing chain.

    Attributes:
        path: its path.
        format: its format, as libvirt and QEMU name it; empty: not stated.
    """

    path: str
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingChain:
    """An image with its backing images.

    Attributes:
        layers: the image, its base, the base of that, and so on.
        others: further referenced paths: external data files, and possible paths in names that
            are no paths.
        data_files: the names of external data files, as the images have them.
        broken: why the chain could not be followed to its end; empty: it was.
        recorded: whether the recorded chain is included, which makes a broken one complete.
    """

    layers: tuple[ImageFile, ...]
    others: tuple[str, ...] = ()
    data_files: tuple[str, ...] = ()
    broken: str = ""
    recorded: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all files."""
        return (*(layer.path for layer in self.layers), *self.others)


class ImageFiles:
    """A snapshot of the files of a host; each file is read once.

    Args:
        local: whether libvirt's paths are paths of this host. Otherwise paths alone identify
            files.
        ask: returns libvirt's header of an image that is unreadable here.
        recorded: records of existing volumes, which take precedence over the files' contents.
    """

    def __init__(self, *, local: bool, ask: Asked, recorded: Iterable[VolumeRecord] = ()) -> None:
        self.local = local
        self._ask = ask
        self._identities: dict[str, Hashable] = {}
        self._recorded = {self.identity(record.path): record for record in recorded}
        self._headers: dict[str, Header | UnreadableImageError | OSError | None] = {}

    def identity(self, path: str) -> Hashable:
        """Return the identity of a file, equal for all its paths: device and inode if it exists."""
        if path not in self._identities:
            self._identities[path] = self._identify(path)
        return self._identities[path]

    def identities(self, path: str) -> Iterator[Hashable]:
        """Yield the identity of a file, and for a device those of the files behind it."""
        yield self.identity(path)
        if self.local and path.startswith("/dev/"):
            for behind in files_behind(path):
                yield self.identity(behind)

    def record(self, path: str) -> VolumeRecord | None:
        """Return the record of the volume at a path; None: it has none."""
        return self._recorded.get(self.identity(path))

    def chain(self, path: str, format: str = "") -> BackingChain:
        """Return the backing chain of an image.

        Args:
            path: its path.
            format: its known format; empty: that of its header.
        """
        record = self.record(path)
        layers = [self._image(path, format)]
        others: list[str] = []
        data_files: list[str] = []
        seen = {self.identity(path)}
        broken = ""
        while not broken and layers[-1].format != "raw":
            try:
                below = self._below(layers[-1], others, data_files, needed=len(layers) > 1)
            except UnreadableImageError as error:
                broken = f"{printable(layers[-1].path)} {error}"
                break
            if below is None:
                break
            layers.append(below)
            if self.identity(below.path) in seen:
                broken = f"{printable(below.path)} is based on itself"
            elif len(layers) > MAX_DEPTH:
                broken = f"{printable(path)} is based on more than {MAX_DEPTH} others"
            seen.add(self.identity(below.path))
        if record is not None:
            # Others may have rebased the image since.
            others += [layer.path for layer in record.base_chain]
        return BackingChain(
            layers=tuple(layers),
            others=tuple(others),
            data_files=tuple(data_files),
            broken=broken,
            recorded=record is not None,
        )

    def _below(
        self, layer: ImageFile, others: list[str], data_files: list[str], *, needed: bool
    ) -> ImageFile | None:
        """Return the base of an image; add other files that it references to `others`."""
        if layer.format in _UNREAD:
            raise UnreadableImageError(f"has the format {layer.format}, whose bases are not read")
        header = self._header(layer, needed=needed)
        if header is None:
            return None
        others += _PATH.findall(header.backing) if is_url(header.backing) else ()
        if header.data_file is not None:
            data_files.append(header.data_file)
            others.append(resolve(header.data_file, of=layer.path))
        if not header.backing:
            return None
        return self._image(resolve(header.backing, of=layer.path), header.backing_format)

    def _image(self, path: str, format: str) -> ImageFile:
        """Return the image at a path, in its recorded format if there is one."""
        record = self.record(path)
        return ImageFile(path=path, format=record.format.lower() if record else format)

    def _header(self, layer: ImageFile, *, needed: bool) -> Header | None:
        path = layer.path
        if path not in self._headers:
            try:
                self._headers[path] = qcow2.read_file(path) if self.local else self._ask(path)
            except PermissionError:
                self._headers[path] = self._asked(path)
            except (UnreadableImageError, OSError) as error:
                self._headers[path] = error
        header = self._headers[path]
        if not needed and _is_nothing(header):
            # A missing image references nothing; otherwise every abandoned domain whose disks
            # are gone would block all deletes.
            return None
        if isinstance(header, FileNotFoundError):
            raise UnreadableImageError("is not there")
        if isinstance(header, OSError):
            raise UnreadableImageError(f"cannot be read ({header.strerror})")
        if isinstance(header, UnreadableImageError):
            raise header
        return header

    def _asked(self, path: str) -> Header | UnreadableImageError | OSError | None:
        try:
            return self._ask(path)
        except (UnreadableImageError, FileNotFoundError) as error:
            return error

    def _identify(self, path: str) -> Hashable:
        if not self.local:
            return os.path.normpath(path)
        try:
            found = Path(path).stat()
        except (OSError, ValueError):
            return os.path.realpath(path)
        if stat.S_ISBLK(found.st_mode):
            return "block", found.st_rdev
        return found.st_dev, found.st_ino


def _is_nothing(read: object) -> bool:
    """Return whether the result of a read means that no image exists there."""
    if isinstance(read, OSError):
        return isinstance(read, FileNotFoundError) or read.errno in NOWHERE
    return isinstance(read, NoImageError)


def resolve(name: str, *, of: str) -> str:
    """Return the path of a file that an image names, as QEMU takes it.

    Args:
        name: the name in the header.
        of: path of the image; a relative name starts at its folder.

    Raises:
        UnreadableImageError: the name means no file of this host.
    """
    if not name or is_url(name):
        raise UnreadableImageError(f"names {printable(name)!r}, which is no file of this host")
    return str(Path(of).parent / name.removeprefix("file:"))


def is_url(name: str) -> bool:
    """Return whether a name is no file name to QEMU, such as "nbd://…"."""
    before, colon, _ = name.removeprefix("file:").partition(":")
    return bool(colon) and "/" not in before


def is_block(path: str, *, local: bool) -> bool:
    """Return whether a path leads to a block device; by its name if it is not local."""
    if not local:
        return path.startswith("/dev/")
    try:
        return stat.S_ISBLK(Path(path).stat().st_mode)
    except OSError:
        return False
