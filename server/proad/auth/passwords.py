"""Passwords: hashing and verification with bcrypt, in a thread pool of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import bcrypt

from proad.errors import InvalidArgumentError

T = TypeVar("T")

# bcrypt ignores all bytes past that, so that a longer password would be weaker than it seems.
_MAX_BYTES = 72
DEFAULT_COST = 12


def check_password(password: str) -> bytes:
    """Return the bytes of a possible password.

    Raises:
        InvalidArgumentError: the password is not a possible one; with the field "password".
    """
    if not password:
        raise InvalidArgumentError.of("password", "must not be empty")
    try:
        data = password.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError.of("password", "must be valid Unicode") from None
    if len(data) > _MAX_BYTES:
        raise InvalidArgumentError.of(
            "password", f"must have at most {_MAX_BYTES} bytes in UTF-8, this has {len(data)}"
        )
    if b"\0" in data:
        raise InvalidArgumentError.of("password", "must not contain NUL")
    return data


def check_new_password(password: str, *, at_least: int) -> None:
    """Check that a password may be set.

    Raises:
        InvalidArgumentError: the password is shorter than `at_least` characters or not a
            possible one; with the field "password".
    """
    check_password(password)
    if len(password) < at_least:
        raise InvalidArgumentError.of(
            "password",
            f"must have at least {at_least} characters (setting password_min_length), "
            f"this has {len(password)}",
        )


class Passwords:
    """Hashes and verifies passwords. A context manager, which owns the threads.

    bcrypt is slow on purpose: in a pool of its own it delays neither the event loop nor
    other work in threads.

    Args:
        cost: base-2 logarithm of the rounds, 4 to 31; less than 12 is for tests.
        threads: number of passwords that are processed at a time.
    """

    def __init__(self, *, cost: int = DEFAULT_COST, threads: int = 2) -> None:
        self._cost = cost
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        # A salt without a hash, so that an unknown user takes as long as a known one.
        self._nobody = bcrypt.gensalt(cost) + b"." * 31
        self.threads = threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Hash a new password.

        Raises:
            InvalidArgumentError: the password is empty, longer than 72 bytes, or contains NUL.
        """
        data = check_password(password)
        salt = bcrypt.gensalt(self._cost)
        return (await self._run(lambda: bcrypt.hashpw(data, salt))).decode()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether a password matches a hash. Without a hash, return False as slowly.

        Raises:
            InvalidArgumentError: the password is not a possible one.
        """
        data = check_password(password)
        hashed = password_hash.encode() if password_hash else self._nobody
        matches = await self._run(lambda: bcrypt.checkpw(data, hashed))
        return matches and password_hash is not None

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
