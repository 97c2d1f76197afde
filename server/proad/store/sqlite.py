"""SQLite: how its connections are prepared, and a thread for short commits."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Executable, create_engine, event
from sqlalchemy.engine import URL

WAIT_SECONDS = 5
WRITES = "proad_writes"
"""The execution option of connections that write."""


def prepare_sqlite(engine: Engine, *, wait_seconds: int = WAIT_SECONDS) -> None:
    """Prepare each connection that an engine makes, and each transaction.

    Args:
        engine: the engine.
        wait_seconds: how long a statement waits for the lock of another process.
    """
    event.listen(engine, "connect", partial(_prepare, wait_seconds))
    event.listen(engine, "begin", _begin)


class SqliteCommitter:
    """Commits single statements, each in one step of a thread with a connection of its own.

    The asynchronous driver takes a step, there and back, for each call of the synchronous one:
    ten for a commit, which take longer than the commit itself.

    Args:
        url: the database.
    """

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(url.set(drivername="sqlite"), hide_parameters=True)
        prepare_sqlite(self._engine)
        self._thread = ThreadPoolExecutor(1, "proad-commits")
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.submit(self._close)
        self._thread.shutdown()

    async def commit(
        self, statement: Executable, values: Mapping[str, object], *, synced: bool
    ) -> None:
        """Execute a statement and commit; see `Database.commit`."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._commit, statement, values, synced)

    def _commit(self, statement: Executable, values: Mapping[str, object], synced: bool) -> None:  # noqa: FBT001 - run_in_executor has no keywords
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(**{WRITES: True})
        # Without a sync, the change is in the kernel's hands: the death of this process does
        # not undo it, and the next synced commit brings it to the disk as well.
        driver: Any = self._connection.connection.driver_connection
        driver.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        with self._connection.begin():
            self._connection.execute(statement, values)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _prepare(wait_seconds: int, connection: Any, _record: object) -> None:
    # Keep Python's driver from beginning transactions: it leaves DDL out of them, and a read
    # that becomes a write would fail at once instead of waiting for the lock.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {wait_seconds * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
