"""All or nothing: what a creation made goes again when it fails or is given up."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt
import structlog

from proad.drivers.libvirt.connections.connection import Connection
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)

T = TypeVar("T")

_log = structlog.get_logger(__name__)


# Looks up anew what it undoes: another thread may do it, on another connection.
Undo = Callable[[libvirt.virConnect], object]


class GivenUpError(Exception):
    """The caller is gone; what was made has to go too."""


class Rollback:
    """Remembers how to undo each step; used by one thread and given up from another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._undo: list[tuple[str, Undo]] = []
        self._given_up = False
        self._committed = False

    def on_failure(self, what: str, undo: Undo) -> None:
        """Note how to undo the step that was just done, and stop if nobody waits any more."""
        self._undo.append((what, undo))
        self.check()

    def check(self) -> None:
        """Stop if nobody waits any more.

        Raises:
            GivenUpError: `give_up` was called.
        """
        with self._lock:
            if self._given_up:
                raise GivenUpError

    def commit(self) -> None:
        """Let all stay, unless somebody gave up before."""
        with self._lock:
            if self._given_up:
                raise GivenUpError
            self._committed = True

    def give_up(self) -> bool:
        """Have the creation undo itself; False: it is complete already."""
        with self._lock:
            self._given_up = True
            return not self._committed

    def undo(self, connection: libvirt.virConnect) -> None:
        """Undo all steps, the last one first. One that fails does not stop the others."""
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo(connection)
            except ResourceNotFoundError:
                continue  # somebody else has removed it
            except (libvirt.libvirtError, ProaError) as error:
                _log.warning("libvirt.left_behind", what=what, error=str(error))


async def all_or_nothing(
    connection: Connection, make: Callable[[libvirt.virConnect, Rollback], T]
) -> T:
    """Run `make` on a thread; undo what it did if it fails or the caller goes away."""
    rollback = Rollback()

    def attempt(own: libvirt.virConnect) -> T:
        try:
            made = make(own, rollback)
            rollback.commit()
        except BaseException:
            rollback.undo(own)
            raise
        return made

    call = asyncio.ensure_future(
        connection.call(attempt, timeout=connection.timing.long_call_timeout)
    )
    try:
        return await asyncio.shield(call)
    except (asyncio.CancelledError, EngineTimedOutError, EngineUnreachableError):
        if rollback.give_up():
            # The thread undoes it at its next step; what it was called for is no
            # longer of interest, but that nothing stays is.
            await asyncio.wait([call], timeout=connection.timing.undo_timeout.total_seconds())
        else:
            await connection.call(rollback.undo)
        raise
