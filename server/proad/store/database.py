"""The connection to the database: SQLite in a file, or PostgreSQL."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Self

import structlog
from sqlalchemy import Executable
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from proad.errors import DatabaseUnreachableError, SetupError
from proad.ownership import check_parent, open_own
from proad.store.migrate import is_current, migrate
from proad.store.sqlite import WAIT_SECONDS, WRITES, SqliteCommitter, prepare_sqlite
from proad.store.url import async_url

log = structlog.get_logger(__name__)

_MIGRATION_WAIT_SECONDS = 60
_MOST_PARAMETERS = 1000
_ANSWER_SECONDS = 10
# So many statements get that time once more.
_STATEMENTS = 1000
# What is wrong with the statement, or with its values, and not with the database.
_OF_STATEMENTS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
# What PostgreSQL says to a statement that is right: the table or the schema is gone, or the right.
_GONE = frozenset({"42P01", "3F000", "42501"})


class Database:
    """An open database with the current schema, made by `open`. Tasks may share it."""

    def __init__(
        self, engine: AsyncEngine, committer: SqliteCommitter | None, answer_seconds: float | None
    ) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._committer = committer
        self._answer_seconds = answer_seconds

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, answer_seconds: float = _ANSWER_SECONDS
    ) -> AsyncIterator[Self]:
        """Connect, migrate the schema, and disconnect at the end.

        Args:
            url: the database URL, with or without a driver.
            answer_seconds: how long a server may take over a transaction. SQLite is no server,
                and says by itself what takes it too long.

        Raises:
            SetupError: the database cannot be opened, or has the schema of a newer Proa.
        """
        parsed = make_url(async_url(url))
        engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
        try:
            if parsed.get_backend_name() != "sqlite":
                await _bring_up_to_date(engine, parsed)
                yield cls(engine, None, answer_seconds)
                return
            # Another process may be migrating, which takes a slow host longer than any write.
            patient = _sqlite(parsed, wait_seconds=_MIGRATION_WAIT_SECONDS)
            try:
                await _bring_up_to_date(patient, parsed)
            finally:
                await patient.dispose()
            with SqliteCommitter(parsed) as committer:
                yield cls(engine, committer, None)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def read(self, *, patient: bool = False) -> AsyncIterator[AsyncConnection]:
        """Provide a connection for reading.

        Args:
            patient: whether all may take as long as it takes, as for much that nobody waits for.

        Raises:
            DatabaseUnreachableError: the database does not answer.
        """
        with _unreachable_when_lost():
            async with self._in_time(patient=patient), self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, statements: int = 1) -> AsyncIterator[AsyncConnection]:
        """Provide a connection whose changes are committed at the end, or rolled back.

        Args:
            statements: about how many there will be; thousands get more time.

        Raises:
            DatabaseUnreachableError: the database does not answer.
        """
        with _unreachable_when_lost():
            async with self._in_time(statements), self._writer.begin() as connection:
                yield connection

    async def commit(
        self, statement: Executable, values: Mapping[str, object], *, synced: bool = True
    ) -> None:
        """Execute one statement that changes something, and commit.

        Args:
            statement: the statement.
            values: the values of its parameters.
            synced: whether the change must outlive the host, not the daemon alone.

        Raises:
            DatabaseUnreachableError: the database does not answer.
        """
        with _unreachable_when_lost():
            if self._committer is not None:
                await self._committer.commit(statement, values, synced=synced)
                return
            async with self._in_time(), self._engine.begin() as connection:
                await connection.execute(statement, values)

    def _in_time(self, statements: int = 1, *, patient: bool = False) -> asyncio.Timeout:
        """Return a block that a server which hangs does not hold up for ever."""
        if patient or self._answer_seconds is None:
            return asyncio.timeout(None)
        return asyncio.timeout(self._answer_seconds * (1 + statements / _STATEMENTS))


def batched(values: Iterable[str]) -> Iterator[Sequence[str]]:
    """Split values into batches that fit the parameters of one statement."""
    rest = iter(values)
    while some := tuple(islice(rest, _MOST_PARAMETERS)):
        yield some


@contextmanager
def _unreachable_when_lost() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError, TimeoutError) as error:
        cause = getattr(error, "orig", None)
        if isinstance(error, _OF_STATEMENTS) and getattr(cause, "sqlstate", None) not in _GONE:
            raise
        log.warning("database unreachable", error=str(cause or error) or "no answer in time")
        raise DatabaseUnreachableError from error


async def _bring_up_to_date(engine: AsyncEngine, url: URL) -> None:
    try:
        async with engine.connect() as connection:
            if await connection.run_sync(is_current):
                return
        async with engine.execution_options(**{WRITES: True}).begin() as connection:
            await connection.run_sync(migrate)
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise SetupError(f"cannot open the database {url!r}: {reason}") from error


def _postgresql(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # PostgreSQL may have been restarted
        pool_timeout=WAIT_SECONDS,
        connect_args={"connect_timeout": WAIT_SECONDS},
    )


def _sqlite(url: URL, *, wait_seconds: int = WAIT_SECONDS) -> AsyncEngine:
    _private_file(Path(url.database or ""))
    engine = create_async_engine(url, hide_parameters=True, pool_timeout=WAIT_SECONDS)
    prepare_sqlite(engine.sync_engine, wait_seconds=wait_seconds)
    return engine


def _private_file(path: Path) -> None:
    """Create the file with mode 0600 before SQLite, which gives its side files the same mode."""
    try:
        check_parent(path)
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SetupError(f"cannot open the database {path}: {error.strerror}") from None
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            os.fchmod(descriptor, 0o600)
            log.warning("database was open to others, made it 0600", path=str(path), mode=oct(mode))
    except OSError as error:
        raise SetupError(f"cannot make {path} private: {error.strerror}") from None
    finally:
        os.close(descriptor)
