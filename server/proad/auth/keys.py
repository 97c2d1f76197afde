"""The keys that sign tokens, each in a file that only the daemon can read."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from proad.errors import SetupError
from proad.ownership import check_own_folder, open_own

KEY_BYTES = 32
_KEPT = 2
_FILE_NAME = re.compile(r"[0-9]{6}\.key")


@dataclass(frozen=True, slots=True)
class Key:
    """A secret key.

    Attributes:
        secret: the 32 bytes.
    """

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Key id for a token's header: a digest that reveals nothing about the secret."""
        return hashlib.sha256(b"proa key id" + self.secret).hexdigest()[:32]


class KeyRing:
    """The keys of a folder, oldest first.

    The newest key signs new tokens. The key before it still verifies, so that a rotation
    logs nobody out.
    """

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = keys

    @property
    def newest(self) -> Key:
        """The key that signs new tokens."""
        return self.keys[-1]

    def derived(self, purpose: str) -> list[bytes]:
        """Return a key for another purpose, derived from each key, the newest first.

        A derived key reveals nothing about its origin.
        """
        return [
            hmac.digest(key.secret, f"proa {purpose}".encode(), "sha256")
            for key in reversed(self.keys)
        ]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the keys; create the folder and the first key if they are missing.

        Raises:
            SetupError: other users can read a key or change the folder, a file does not have
                exactly 32 bytes, or it cannot be read.
        """
        try:
            _check_folder(folder)
            if not _files(folder):
                _create(folder, 1)
            return cls(tuple(_read(path) for path in _files(folder)[-_KEPT:]))
        except OSError as error:
            raise SetupError(f"{error.filename or folder}: {error.strerror}") from error

    @classmethod
    def rotate(cls, folder: Path) -> Self:
        """Create a new signing key, and delete all keys but that and the one before.

        Of two simultaneous rotations one has effect. A running daemon continues with the
        keys that it read at its start.

        Raises:
            SetupError: as `open`.
        """
        cls.open(folder)
        try:
            _create(folder, _number(_files(folder)[-1]) + 1)
            for path in _files(folder)[:-_KEPT]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SetupError(f"{error.filename or folder}: {error.strerror}") from error
        return cls.open(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name))


def _number(path: Path) -> int:
    return int(path.stem)


def _check_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    check_own_folder(folder, private=True)


def _create(folder: Path, number: int) -> None:
    """Create a key file atomically, unless another process has just created the same one."""
    target = folder / f"{number:06}.key"
    draft = folder / f".{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            target.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Key:
    descriptor = open_own(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SetupError(f"{path}: is no regular file")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise SetupError(
                f"{path}: others may read this key (mode {mode:04o}); replace it: "
                f"chmod 600 {path}, then 'proad init --rotate-key' twice"
            )
        secret = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(secret) != KEY_BYTES:
        raise SetupError(
            f"{path}: a key has {KEY_BYTES} bytes, this has {status.st_size}; "
            "remove the file and a new key is made"
        )
    return Key(secret)
