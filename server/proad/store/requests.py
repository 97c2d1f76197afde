"""Records of the requests that carried an id."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    Row,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from proad.model import Intent, RequestState
from proad.ports.requests import RequestKey, RequestRecord
from proad.store.database import Database
from proad.store.schema import requests

_INTENTS = TypeAdapter(Intent)
_FAILED = requests.c.state == str(RequestState.FAILED)
# What a list shows: of all else, a thousand records may have hundreds of megabytes.
_LISTED = [
    *(each for each in requests.c if each not in (requests.c.intent, requests.c.answer)),
    case((_FAILED, requests.c.answer), else_=literal(b"")).label("answer"),
]
_HAS_FOOTPRINT = requests.c.intent["footprint"].as_string().is_not(None)
# Made once: every request with an id executes both.
_ADD = insert(requests)
_SETTLE = (
    update(requests)
    .where(
        requests.c.daemon == bindparam("of_daemon"),
        requests.c.user_id == bindparam("of_user"),
        requests.c.id == bindparam("of_id"),
    )
    .values({name: bindparam(name) for name in ("state", "path", "end_time", "answer")})
)


class RequestStore:
    """The requests to one daemon in a database; implements `ports.requests.RequestRecords`.

    Args:
        database: the database, which several daemons may share.
        daemon_id: id of this daemon.
    """

    def __init__(self, database: Database, daemon_id: str) -> None:
        self._database = database
        self._daemon_id = daemon_id
        self._ours = requests.c.daemon == daemon_id

    async def ends(self) -> dict[RequestKey, datetime | None]:
        """Return the end time of every request."""
        wanted = select(requests.c.user_id, requests.c.id, requests.c.end_time).where(self._ours)
        async with self._database.read() as connection:
            rows = await connection.execute(wanted)
            return {RequestKey(row.user_id, row.id): row.end_time for row in rows}

    async def running(self) -> list[RequestRecord]:
        """Return the records whose outcome is not known, the oldest first."""
        wanted = (
            select(requests)
            .where(self._ours, requests.c.end_time.is_(None))
            .order_by(requests.c.start_time)
        )
        async with self._database.read() as connection:
            return [_record(row) for row in await connection.execute(wanted)]

    async def failed_creates(self, since: datetime) -> list[tuple[Intent, datetime]]:
        """Return the intents of the creates that failed since then, and when they did."""
        wanted = select(requests.c.intent, requests.c.end_time).where(
            self._ours, requests.c.end_time >= since, _FAILED, _HAS_FOOTPRINT
        )
        async with self._database.read() as connection:
            return [
                (_INTENTS.validate_python(row.intent), row.end_time)
                for row in await connection.execute(wanted)
            ]

    async def get(self, key: RequestKey) -> RequestRecord | None:
        """Return a record; None if there is none."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(requests).where(self._is(key)))).one_or_none()
        return None if row is None else _record(row)

    async def page(
        self,
        user_id: str,
        *,
        sight: str = "",
        states: Collection[RequestState] = (),
        before: tuple[datetime, str] | None = None,
        most: int,
    ) -> list[RequestRecord]:
        """Return a user's records, the newest first; see `RequestRecords.page`."""
        wanted = (
            select(*_LISTED)
            .where(self._ours, requests.c.user_id == user_id)
            .order_by(requests.c.start_time.desc(), requests.c.id.desc())
            .limit(most)
        )
        if sight:
            wanted = wanted.where(requests.c.sight == sight)
        if states:
            wanted = wanted.where(requests.c.state.in_([str(state) for state in states]))
        if before is not None:
            time, id = before
            wanted = wanted.where(
                or_(
                    requests.c.start_time < time,
                    and_(requests.c.start_time == time, requests.c.id < id),
                )
            )
        async with self._database.read() as connection:
            return [_record(row) for row in await connection.execute(wanted)]

    async def add(self, record: RequestRecord) -> None:
        """Store a record, in place of the one with the same key if there is one."""
        intent = record.intent
        values = {
            "daemon": self._daemon_id,
            "user_id": record.key.user_id,
            "id": record.key.id,
            "method": record.method,
            "digest": record.digest,
            "state": str(record.state),
            "path": record.path,
            "start_time": record.start_time,
            "end_time": record.end_time,
            "intent": None if intent is None else _INTENTS.dump_python(intent, mode="json"),
            "answer": record.answer,
            "sight": record.sight,
        }
        try:
            await self._database.commit(_ADD, values)
        except IntegrityError:
            # An expired one, or one whose commit was reported as failed
            async with self._database.write() as connection:
                await connection.execute(delete(requests).where(self._is(record.key)))
                await connection.execute(_ADD, values)

    async def settle(self, record: RequestRecord) -> None:
        """Store state, path, end time and answer of a record that was added."""
        values = {
            "of_daemon": self._daemon_id,
            "of_user": record.key.user_id,
            "of_id": record.key.id,
            "state": str(record.state),
            "path": record.path,
            "end_time": record.end_time,
            "answer": record.answer,
        }
        # Were the host to lose it, the request would be judged by its intent, which is synced.
        await self._database.commit(_SETTLE, values, synced=False)

    async def remove(self, key: RequestKey) -> None:
        """Remove a record, of a request that will change nothing."""
        async with self._database.write() as connection:
            await connection.execute(delete(requests).where(self._is(key)))

    async def expire(self, before: datetime, most: int) -> list[RequestKey]:
        """Remove records that ended before a time, at most so many, and return their keys."""
        key = tuple_(requests.c.user_id, requests.c.id)
        expired = (
            select(requests.c.user_id, requests.c.id)
            .where(self._ours, requests.c.end_time < before)
            .limit(most)
        )
        removal = (
            delete(requests)
            .where(self._ours, key.in_(expired))
            .returning(requests.c.user_id, requests.c.id)
        )
        async with self._database.write() as connection:
            return [RequestKey(row.user_id, row.id) for row in await connection.execute(removal)]

    def _is(self, key: RequestKey) -> Any:
        return and_(self._ours, requests.c.user_id == key.user_id, requests.c.id == key.id)


def _record(row: Row[Any]) -> RequestRecord:
    intent = getattr(row, "intent", None)
    return RequestRecord(
        key=RequestKey(row.user_id, row.id),
        method=row.method,
        digest=row.digest,
        state=RequestState(row.state),
        path=row.path,
        start_time=row.start_time,
        end_time=row.end_time,
        intent=None if intent is None else _INTENTS.validate_python(intent),
        answer=row.answer,
        sight=row.sight,
    )
