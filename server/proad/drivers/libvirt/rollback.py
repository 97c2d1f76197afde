"""All or nothing: undo the steps of a create that fails or is cancelled."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt
import structlog

from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.threads import from_thread
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import Footprint
from proad.ports import AnnounceFootprint

T = TypeVar("T")

_log = structlog.get_logger(__name__)


# Looks up what it undoes: another thread may run it, on another connection.
Undo = Callable[[libvirt.virConnect], object]


class CreateCancelledError(Exception):
    """The create was cancelled; its steps have to be undone."""


class Rollback:
    """The undo steps of a create; used by one thread, cancelled from another.

    Args:
        announce: called on the thread with what the create will leave.
        under_way: has the create from then on until `end`.
    """

    def __init__(
        self,
        announce: Callable[[Footprint], None] = lambda _footprint: None,
        under_way: CreatesUnderWay | None = None,
    ) -> None:
        self._announce = announce
        self._under_way = under_way or CreatesUnderWay(ENGINE)
        self._lock = threading.Lock()
        self._undo: list[tuple[str, Undo]] = []
        self._cancelled = False
        self._committed = False
        self._footprint: Footprint | None = None

    def begin(self, footprint: Footprint) -> None:
        """Announce the create, before its first step; stop if the create was cancelled."""
        self._announce(footprint)
        self._under_way.add(footprint)
        self._footprint = footprint
        self.check()

    def end(self) -> None:
        """End the create: its thread changes nothing any more."""
        if self._footprint is not None:
            self._under_way.discard(self._footprint)

    def on_failure(self, what: str, undo: Undo) -> None:
        """Add the undo of the step that was just done; stop if the create was cancelled."""
        self._undo.append((what, undo))
        self.check()

    def check(self) -> None:
        """Stop if the create was cancelled.

        Raises:
            CreateCancelledError: `cancel` was called.
        """
        with self._lock:
            if self._cancelled:
                raise CreateCancelledError

    def commit(self) -> None:
        """Complete the create, unless it was cancelled."""
        with self._lock:
            if self._cancelled:
                raise CreateCancelledError
            self._committed = True

    def cancel(self) -> bool:
        """Cancel the create, which then undoes itself; return False if it is complete already."""
        with self._lock:
            self._cancelled = True
            return not self._committed

    def undo(self, connection: libvirt.virConnect) -> None:
        """Undo the steps, the last one first, until one cannot be undone.

        What was made before that step stays: a domain that remains needs its volumes, and a
        volume that remains its record.
        """
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo(connection)
            except ResourceNotFoundError:
                continue  # removed by somebody else
            except (libvirt.libvirtError, ProaError) as error:
                left = [what, *(earlier for earlier, _ in reversed(self._undo))]
                _log.warning("libvirt.left_behind", what=left, error=str(error))
                self._undo.clear()


async def all_or_nothing(
    connection: Connection,
    make: Callable[[libvirt.virConnect, Rollback], T],
    *,
    announce: AnnounceFootprint,
    under_way: CreatesUnderWay,
) -> T:
    """Run `make` on a thread; undo its steps if it fails or the caller is cancelled.

    Args:
        connection: to libvirt.
        make: begins the rollback, creates, and adds its steps to the rollback.
        announce: awaited when the rollback begins.
        under_way: has the create until its thread is done.
    """
    rollback = Rollback(from_thread(announce), under_way)

    def attempt(own: libvirt.virConnect) -> T:
        try:
            made = make(own, rollback)
            rollback.commit()
        except BaseException:
            rollback.undo(own)
            raise
        finally:
            rollback.end()
        return made

    call = asyncio.ensure_future(
        connection.call(attempt, timeout=connection.timing.long_call_timeout)
    )
    try:
        return await asyncio.shield(call)
    except (asyncio.CancelledError, EngineTimedOutError, EngineUnreachableError):
        if rollback.cancel():
            # The thread undoes its steps at the next one. Its result does not matter any more,
            # but nothing may stay behind when the caller returns.
            await asyncio.wait([call], timeout=connection.timing.undo_timeout.total_seconds())
        else:
            await connection.call(rollback.undo)
        raise
