"""Commands on the host in the audit log: they change who may do what past every RPC.

The log has one writer. That is the daemon while it runs, which `HostCalls` lets commands ask; a
command writes by itself, with `OfflineLog`, while no daemon does.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from proad.audit.calls import AuditCall, CallOutcome
from proad.audit.chain import content
from proad.audit.index import AuditIndexer
from proad.audit.log import AuditedCall, AuditLog
from proad.audit.writer import LogWriter
from proad.errors import AuditUnavailableError
from proad.store.audit import AuditStore

# Commands that were killed never tell what became of them.
_MOST_OPEN = 1000


def host_call(command: str, target: str, detail: str, peer: str) -> AuditCall:
    """Return a command on the host as a call.

    Args:
        command: its words, such as "proad user add".
        target: what it is about.
        detail: what it changes.
        peer: which user of the host gave it.
    """
    return AuditCall(method_name=command, target=target, detail=detail, peer=peer)


class HostCalls:
    """Writes what commands on the host tell the daemon.

    Args:
        log: the log.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._open: dict[str, AuditedCall] = {}

    async def begin(self, *words: str) -> Mapping[str, object]:
        """Write the intent of a command, and return the id for `end` once it is on disk.

        Args:
            words: the arguments of `host_call`.

        Raises:
            AuditUnavailableError: it cannot be; the command must change nothing.
        """
        # Of the reserve: on a full disk, too, a user can be locked out.
        call = self._log.begin(host_call(*words), of_reserve=True)
        await call.on_disk()
        id = str(uuid4())
        self._open[id] = call
        if len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        return {"call": id}

    async def end(self, id: str, code: str, reason: str) -> Mapping[str, object]:
        """Write what became of a command.

        Args:
            id: what `begin` returned.
            code: the status code, by its name.
            reason: the reason of an error; empty: none.
        """
        if (call := self._open.pop(id, None)) is not None:
            call.end(CallOutcome(code=code, reason=reason))
        return {}


class OfflineLog:
    """The log while no daemon writes it, for one command, which must hold its lock.

    Args:
        writer: the end of the log.
        store: its index.
        folder: its folder.
    """

    def __init__(self, writer: LogWriter, store: AuditStore, folder: Path) -> None:
        self._writer = writer
        self._store = store
        self._index = AuditIndexer(store, folder)
        self._intent = 0

    async def begin(self, call: AuditCall) -> None:
        """Write the intent of the command. Damage is told in the same line, as at a start.

        Raises:
            AuditUnavailableError: that cannot be done; the command must change nothing.
            SetupError: the folder or a file is not the daemon's own, or cannot be read.
        """
        head = await self._store.head()
        found = self._writer.load(head).told()
        await self._index.catch_up(head)
        self._intent = await self._write(call.fields("intent") | found)

    async def end(self, outcome: CallOutcome) -> None:
        """Write what became of the command.

        Raises:
            AuditUnavailableError: that cannot be done.
        """
        fields = {"kind": "outcome", "time": datetime.now(UTC), "intent": self._intent}
        await self._write(fields | outcome.fields())

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    async def _write(self, fields: dict[str, Any]) -> int:
        """Write a line, and return its number once it is on disk and in the index."""
        try:
            number = self._writer.next()
            self._writer.write([content(fields)])
            self._writer.sync()
        except OSError as error:
            self._writer.restore()
            raise AuditUnavailableError from error
        self._index.note([(number, fields)], self._writer.head)
        await self._index.flush(self._writer.first)
        return number
