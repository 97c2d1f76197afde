"""The index of the audit log: what its lines tell, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from proad.model import AuditEntry, AuditFilter, AuditOutcome
from proad.store.database import Database
from proad.store.schema import audit_entries, audit_heads

# Lines whose entries one transaction removes: others wait for it. More go with more that come, each
# of which may be of two lines: a flood must not be faster than the removal.
_MOST_REMOVED = 2000
_REMOVED_FOR_EACH = 4
_FIELDS = tuple(field.name for field in fields(AuditEntry))
_END = ("path", "outcome", "end_time", "code", "reason", "rule", "received_bytes", "sent_bytes")
_INSERT = insert(audit_entries)
_UPDATE = (
    update(audit_entries)
    .where(
        audit_entries.c.daemon == bindparam("of_daemon"),
        audit_entries.c.sequence == bindparam("of_sequence"),
    )
    .values({name: bindparam(name) for name in _END})
)


@dataclass(frozen=True, slots=True)
class AuditHead:
    """How far the log had come, and its index with it.

    Attributes:
        sequence: number of the last line, and so how many lines there have been.
        value: value of the chain at that line, in hexadecimal digits.
    """

    sequence: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEnd:
    """What became of a call; see `AuditEntry`, whose `sequence` it has."""

    sequence: int
    path: str
    outcome: AuditOutcome
    end_time: datetime | None
    code: str
    reason: str
    rule: str
    received_bytes: int = 0
    sent_bytes: int = 0


class AuditStore:
    """The index of one daemon's audit log in a database.

    Args:
        database: the database, which several daemons may share.
        daemon_id: id of this daemon.
    """

    def __init__(self, database: Database, daemon_id: str) -> None:
        self._database = database
        self._daemon_id = daemon_id
        self._ours = audit_entries.c.daemon == daemon_id

    async def head(self) -> AuditHead | None:
        """Return how far the log had come; None: nothing was stored yet."""
        wanted = select(audit_heads.c.sequence, audit_heads.c.value).where(
            audit_heads.c.daemon == self._daemon_id
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else AuditHead(row.sequence, row.value)

    async def save(
        self,
        head: AuditHead,
        entries: Sequence[AuditEntry],
        ended: Sequence[AuditEnd],
        *,
        first: int = 0,
    ) -> None:
        """Store what was written to the log since the last time, all or nothing of it.

        Args:
            head: how far the log has come.
            entries: new entries.
            ended: outcomes of entries that were stored before.
            first: number of the first line that is kept; some entries from before are removed.
        """
        statements = len(entries) + len(ended)
        async with self._database.write(statements=statements) as connection:
            if entries:
                await connection.execute(_INSERT, [self._row(entry) for entry in entries])
            if ended:
                await connection.execute(
                    _UPDATE,
                    [
                        {name: getattr(entry, name) for name in _END}
                        | {
                            "of_daemon": self._daemon_id,
                            "of_sequence": entry.sequence,
                            "outcome": str(entry.outcome),
                        }
                        for entry in ended
                    ],
                )
            if first:
                oldest = select(func.min(audit_entries.c.sequence)).where(self._ours)
                last = await connection.scalar(oldest)
                if last is not None and last < first:
                    most = max(_MOST_REMOVED, _REMOVED_FOR_EACH * statements)
                    await connection.execute(
                        delete(audit_entries).where(
                            self._ours,
                            audit_entries.c.sequence < min(first, last + most),
                        )
                    )
            values = {"sequence": head.sequence, "value": head.value, "time": datetime.now(UTC)}
            changed = await connection.execute(
                update(audit_heads).where(audit_heads.c.daemon == self._daemon_id).values(values)
            )
            if not changed.rowcount:
                await connection.execute(
                    insert(audit_heads).values(daemon=self._daemon_id, **values)
                )

    async def pending(self) -> list[AuditEntry]:
        """Return the entries without an outcome, the oldest first."""
        wanted = (
            select(audit_entries)
            .where(self._ours, audit_entries.c.outcome == str(AuditOutcome.PENDING))
            .order_by(audit_entries.c.time, audit_entries.c.sequence)
        )
        async with self._database.read() as connection:
            return [_entry(row) for row in await connection.execute(wanted)]

    async def page(
        self,
        filter: AuditFilter,
        *,
        users: Sequence[tuple[str, str]] = (),
        before: tuple[datetime, int] | None = None,
        most: int,
    ) -> list[AuditEntry]:
        """Return entries, the newest first.

        Args:
            filter: which ones.
            users: of these alone: ("user_id", id) or ("team_id", id), each; empty: of all.
            before: time and number of the last entry of the page before.
            most: how many at the most.
        """
        conditions = self._conditions(filter)
        position = tuple_(audit_entries.c.time, audit_entries.c.sequence)
        if before is not None:
            time, sequence = before
            conditions.append(
                position < tuple_(literal(time, audit_entries.c.time.type), literal(sequence))
            )
        # One query for each alternative, since each then reads an index in its order.
        named: list[list[ColumnElement[bool]]] = [
            [audit_entries.c[column] == filter.resource] for column in ("path", "target")
        ]
        if not filter.resource:
            named = [[]]
        theirs = [[audit_entries.c[column] == id] for column, id in users] or [[]]
        found: dict[int, AuditEntry] = {}
        async with self._database.read() as connection:
            for name in named:
                for user in theirs:
                    wanted = (
                        select(audit_entries)
                        .where(*conditions, *name, *user)
                        .order_by(audit_entries.c.time.desc(), audit_entries.c.sequence.desc())
                        .limit(most)
                    )
                    for row in await connection.execute(wanted):
                        found[row.sequence] = _entry(row)
        entries = sorted(found.values(), key=lambda each: (each.time, each.sequence), reverse=True)
        return entries[:most]

    def _conditions(self, filter: AuditFilter) -> list[ColumnElement[bool]]:
        named = ("username", "user_id", "method_name")
        wanted = {name: value for name in named if (value := getattr(filter, name))}
        conditions = [self._ours, *(audit_entries.c[name] == wanted[name] for name in wanted)]
        if filter.start_time is not None:
            conditions.append(audit_entries.c.time >= filter.start_time)
        if filter.end_time is not None:
            conditions.append(audit_entries.c.time < filter.end_time)
        if filter.outcomes:
            conditions.append(audit_entries.c.outcome.in_([str(each) for each in filter.outcomes]))
        return conditions

    def _row(self, entry: AuditEntry) -> dict[str, Any]:
        row = {name: getattr(entry, name) for name in _FIELDS}
        return row | {"daemon": self._daemon_id, "outcome": str(entry.outcome)}


def _entry(row: Row[Any]) -> AuditEntry:
    values = {name: getattr(row, name) for name in _FIELDS}
    return AuditEntry(**values | {"outcome": AuditOutcome(row.outcome)})
