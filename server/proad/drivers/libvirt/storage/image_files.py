"""The image files of a host: which file a path is, and what an image is based on."""

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
# Formats with bases, which are read nowhere here.
_UNREAD = frozenset({"qed", "vmdk", "vhdx", "vpc", "vdi", "parallels", "cow"})
# Why a path leads to no image, whoever follows it.
NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})

# What may be a path in a name such as json:{"file":{"filename":"/…"}}.
_PATH = re.compile(r"/[^\"',;?]+")

# What libvirt knows of the image at a path; None: nothing.
Asked = Callable[[str], Header | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One image of a chain.

    Attributes:
        path: where it is.
        format: as libvirt and QEMU name it; empty: nobody said.
    """

    path: str
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingChain:
    """An image with what it is based on.

    Attributes:
        layers: the image, its base, the base of that, and so on.
        others: further paths that it names: files that hold the data of a layer, and what
            looks like a path in a name that is none.
        broken: why it goes no further, although it may; empty: it is whole.
        recorded: whether what is recorded of it is in it, so that it is whole all the same.
    """

    layers: tuple[ImageFile, ...]
    others: tuple[str, ...] = ()
    broken: str = ""
    recorded: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """All its files."""
        return (*(layer.path for layer in self.layers), *self.others)


class ImageFiles:
    """One look at the files of a host, each read once.

    Args:
        local: whether the paths of libvirt are paths here. Otherwise files are told apart by
            their paths alone.
        ask: what libvirt has read of an image that cannot be read here.
        recorded: what Proa made and is still there, which counts more than what the files say.
    """

    def __init__(self, *, local: bool, ask: Asked, recorded: Iterable[VolumeRecord] = ()) -> None:
        self.local = local
        self._ask = ask
        self._identities: dict[str, Hashable] = {}
        self._recorded = {self.identity(record.path): record for record in recorded}
        self._headers: dict[str, Header | UnreadableImageError | OSError | None] = {}

    def identity(self, path: str) -> Hashable:
        """Return what is the same for all paths of one file: device and inode, if it is there."""
        if path not in self._identities:
            self._identities[path] = self._identify(path)
        return self._identities[path]

    def identities(self, path: str) -> Iterator[Hashable]:
        """Yield the identity of a file, and of the files that lie behind it if it is a device."""
        yield self.identity(path)
        if self.local and path.startswith("/dev/"):
            for behind in files_behind(path):
                yield self.identity(behind)

    def chain(self, path: str, format: str = "") -> BackingChain:
        """Follow an image down to its last base.

        Args:
            path: where it is.
            format: what it is known to be; empty: its header says.
        """
        record = self._recorded.get(self.identity(path))
        layers = [self._image(path, format)]
        others: list[str] = []
        seen = {self.identity(path)}
        broken = ""
        while not broken and layers[-1].format != "raw":
            try:
                below = self._below(layers[-1], others, needed=len(layers) > 1)
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
            # Somebody else may have put it on other images since.
            others += [layer.path for layer in record.base_chain]
        return BackingChain(
            layers=tuple(layers),
            others=tuple(others),
            broken=broken,
            recorded=record is not None,
        )

    def _below(self, layer: ImageFile, others: list[str], *, needed: bool) -> ImageFile | None:
        """Return the base of an image; note the others that it names."""
        if layer.format in _UNREAD:
            raise UnreadableImageError(f"has the format {layer.format}, whose bases are not read")
        header = self._header(layer, needed=needed)
        if header is None:
            return None
        others += _PATH.findall(header.backing) if is_url(header.backing) else ()
        if header.data_file is not None:
            others.append(resolve(header.data_file, of=layer.path))
        if not header.backing:
            return None
        return self._image(resolve(header.backing, of=layer.path), header.backing_format)

    def _image(self, path: str, format: str) -> ImageFile:
        """Return the image at a path, in the format that it was made in where that is known."""
        record = self._recorded.get(self.identity(path))
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
            # It needs nothing, or each forgotten domain whose disks are gone would hold up
            # all deletes.
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
    """Return whether what came of reading an image means that nobody can read one there."""
    if isinstance(read, OSError):
        return isinstance(read, FileNotFoundError) or read.errno in NOWHERE
    return isinstance(read, NoImageError)


def resolve(name: str, *, of: str) -> str:
    """Return the path of a file that an image names, as QEMU takes it.

    Args:
        name: what the header says.
        of: path of the image, whose folder a relative name begins at.

    Raises:
        UnreadableImageError: it is no file of this host.
    """
    if not name or is_url(name):
        raise UnreadableImageError(f"names {printable(name)!r}, which is no file of this host")
    return str(Path(of).parent / name.removeprefix("file:"))


def is_url(name: str) -> bool:
    """Return whether QEMU takes a name for something else than a file, such as "nbd://…"."""
    before, colon, _ = name.removeprefix("file:").partition(":")
    return bool(colon) and "/" not in before


def is_block(path: str, *, local: bool) -> bool:
    """Return whether a path leads to a block device, as far as can be seen from here."""
    if not local:
        return path.startswith("/dev/")
    try:
        return stat.S_ISBLK(Path(path).stat().st_mode)
    except OSError:
        return False
