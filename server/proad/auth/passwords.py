"""Passwords: hashing and checking with bcrypt, on threads of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import bcrypt

from proad.errors import InvalidArgumentError

T = TypeVar("T")

# bcrypt looks at no more than that; a longer password would be weaker than it looks.
_MAX_BYTES = 72
DEFAULT_COST = 12


def check_password(password: str) -> bytes:
    """Give the bytes of a password that a user can have.

    Raises:
        InvalidArgumentError: with the field "password".
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
    """Do nothing if a user may be given this password.

    Raises:
        InvalidArgumentError: with the field "password"; it is shorter than `at_least`
            characters, or nobody can have it.
    """
    check_password(password)
    if len(password) < at_least:
        raise InvalidArgumentError.of(
            "password",
            f"must have at least {at_least} characters (setting password_min_length), "
            f"this has {len(password)}",
        )


class Passwords:
    """Hashes and checks passwords. Use it in a `with`, which owns the threads.

    bcrypt is slow on purpose: on its own few threads it delays neither the event
    loop nor anything else that needs a thread.

    Args:
        cost: base-2 logarithm of the rounds, 4 to 31; less than 12 is for tests.
        threads: how many passwords are worked on at a time.
    """

    def __init__(self, *, cost: int = DEFAULT_COST, threads: int = 2) -> None:
        self._cost = cost
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        # For users that are not there, so that they cost the same: salt and no hash.
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
            InvalidArgumentError: it is empty, longer than 72 bytes, or contains NUL.
        """
        data = check_password(password)
        salt = bcrypt.gensalt(self._cost)
        return (await self._run(lambda: bcrypt.hashpw(data, salt))).decode()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Tell whether a password is the hashed one; without a hash, no, as slowly.

        Raises:
            InvalidArgumentError: nobody can have this password.
        """
        data = check_password(password)
        hashed = password_hash.encode() if password_hash else self._nobody
        matches = await self._run(lambda: bcrypt.checkpw(data, hashed))
        return matches and password_hash is not None

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
