"""SQLite: how its connections are prepared, and a thread for short commits."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Executable, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

WAIT_SECONDS = 5
WRITES = "proad_writes"
"""The execution option of connections that write."""

_FILE = "proad_file"
_SYNCED = "PRAGMA synchronous = FULL"
_UNSYNCED = "PRAGMA synchronous = NORMAL"


def prepare_sqlite(engine: Engine, *, wait_seconds: int = WAIT_SECONDS) -> None:
    """Prepare each connection that an engine makes, and each transaction.

    Args:
        engine: the engine.
        wait_seconds: how long a statement waits for the lock of another process.
    """
    _prepare_connections(engine, wait_seconds)
    event.listen(engine, "checkout", partial(_check_same, engine.url.database or ""))
    event.listen(engine, "begin", _begin)


@dataclass(frozen=True, slots=True)
class _Commit:
    """A statement to commit, since when, and the future that hears of it."""

    statement: Executable
    values: Mapping[str, object]
    synced: bool
    since: float
    done: "asyncio.Future[None]"


class SqliteCommitter:
    """Commits single statements, each in one step of a thread with a connection of its own.

    The asynchronous driver takes a step, there and back, for each call of the synchronous one:
    ten for a commit, which take longer than the commit itself. An executor takes two futures
    and their callbacks for one step.

    Args:
        url: the database.
    """

    def __init__(self, url: URL) -> None:
        self._path = url.database or ""
        self._engine = create_engine(url.set(drivername="sqlite"), hide_parameters=True)
        # Without a BEGIN, each statement is a transaction of its own.
        _prepare_connections(self._engine, WAIT_SECONDS)
        self._has_failed = False
        self._queue: SimpleQueue[_Commit | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="proad-commits")
        self._connection: Connection | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    async def commit(
        self, statement: Executable, values: Mapping[str, object], *, synced: bool
    ) -> None:
        """Execute a statement and commit; see `Database.commit`.

        Raises:
            RuntimeError: it is closed.
        """
        if self._is_closed:
            raise RuntimeError("the database is closed")
        done = asyncio.get_running_loop().create_future()
        self._queue.put(_Commit(statement, values, synced, time.monotonic(), done))
        await done

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            failure: Exception | None = None
            try:
                self._commit(job)
            except Exception as error:  # noqa: BLE001 - raised where the commit is awaited
                failure = error
            self._has_failed = failure is not None
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                job.done.get_loop().call_soon_threadsafe(_tell, job.done, failure)
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def _commit(self, job: _Commit) -> None:
        connection = self._connection
        if connection is not None and not _is_same(connection.info, self._path):
            self._connection = None
            connection.invalidate()
            connection.close()
        if self._connection is None:
            self._connection = self._engine.connect()
        # Without a sync, the change is in the kernel's hands: the death of this process does
        # not undo it, and the next synced commit brings it to the disk as well.
        driver: Any = self._connection.connection.driver_connection
        driver.execute(_SYNCED if job.synced else _UNSYNCED)
        # Those that waited behind one that a lock kept out have waited for the lock with it: else
        # each would wait as long again, and the end of the daemon for all of them.
        waited = time.monotonic() - job.since if self._has_failed else 0.0
        _wait_for_locks(driver, max(0.0, WAIT_SECONDS - waited))
        with self._connection.begin():
            self._connection.execute(job.statement, job.values)


def _tell(done: "asyncio.Future[None]", failure: Exception | None) -> None:
    if done.done():  # its caller was cancelled
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def _prepare_connections(engine: Engine, wait_seconds: int) -> None:
    path = engine.url.database or ""
    event.listen(engine, "do_connect", partial(_check_there, path))
    event.listen(engine, "connect", partial(_prepare, wait_seconds, path))


def _check_there(path: str, *_: object) -> None:
    # SQLite would make an empty one.
    if _file_at(path) is None:
        raise sqlite3.OperationalError("its file is gone")


def _check_same(path: str, _connection: object, record: Any, _proxy: object) -> None:
    if not _is_same(record.info, path):
        raise DisconnectionError("another file is there")


def _is_same(info: Mapping[Any, Any], path: str) -> bool:
    """Return whether what a connection has open is still the file: else all is kept for nobody."""
    return bool(info[_FILE] == _file_at(path))


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what tells a file from all others; None: there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare(wait_seconds: int, path: str, connection: Any, record: Any) -> None:
    record.info[_FILE] = _file_at(path)
    # Keep Python's driver from beginning transactions: it leaves DDL out of them, and a read
    # that becomes a write would fail at once instead of waiting for the lock.
    connection.isolation_level = None
    cursor = connection.cursor()
    _wait_for_locks(cursor, wait_seconds)
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _wait_for_locks(cursor: Any, seconds: float) -> None:
    cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
