"""AuditService: who did what."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import grpc
from google.rpc import code_pb2

from proa import v1
from proa.v1 import audit_service_pb2_grpc
from proad.audit import AuditLog
from proad.core.actor import current_subject
from proad.model import Access, AuditEntry, AuditFilter
from proad.rpc.decode import decode
from proad.rpc.methods import Method
from proad.rpc.paging import PageBudget, Paginator, Position

_Context = grpc.aio.ServicerContext[Any, Any]

_TEXTS = (
    "username",
    "user_id",
    "team_id",
    "token_id",
    "peer",
    "method_name",
    "path",
    "target",
    "snapshot",
    "request_id",
    "correlation_id",
    "rule",
)


class AuditService(audit_service_pb2_grpc.AuditServiceServicer):
    """Converts, delegates to the log, converts."""

    def __init__(self, log: AuditLog, paginator: Paginator, methods: Mapping[str, Method]) -> None:
        self._log = log
        self._paginator = paginator
        self._paths = {path.rpartition("/")[2]: path for path in methods}

    async def ListEntries(
        self, request: v1.ListEntriesRequest, context: _Context
    ) -> v1.ListEntriesResponse:
        limit, after = self._paginator.bounds(request)
        filter = decode(AuditFilter, request.filter, prefix="filter")
        method = self._paths.get(filter.method_name, filter.method_name)
        entries = await self._log.page(
            replace(filter, method_name=method),
            users=_visible(),
            before=None if after is None else (datetime.fromisoformat(after[0]), int(after[1])),
            most=limit + 1,
        )
        budget, shown = PageBudget(), list[v1.AuditEntry]()
        for entry in entries[:limit]:
            message = _shown(entry)
            if not budget.take(message.ByteSize()):
                break
            shown.append(message)
        last = _position(entries[len(shown) - 1]) if len(entries) > len(shown) else None
        return v1.ListEntriesResponse(
            entries=shown, next_page_token=self._paginator.token(request, last)
        )


def _visible() -> Sequence[tuple[str, str]]:
    """Return whose entries the caller may see; empty: everybody's."""
    subject = current_subject()
    if subject is None or subject.access is Access.ALL:
        return ()
    own = ("user_id", subject.user_id)
    if subject.access is Access.TEAM and subject.team_id:
        return own, ("team_id", subject.team_id)
    return (own,)


def _position(entry: AuditEntry) -> Position:
    return entry.time.isoformat(), str(entry.sequence)


def _shown(entry: AuditEntry) -> v1.AuditEntry:
    shown = v1.AuditEntry(
        sequence=entry.sequence,
        outcome=v1.AuditOutcome.Value(f"AUDIT_OUTCOME_{entry.outcome}"),
        code=code_pb2.Code.Value(entry.code) if entry.code else 0,
        **{name: getattr(entry, name) for name in _TEXTS},
    )
    if entry.reason:
        shown.reason = v1.ErrorReason.Value(f"ERROR_REASON_{entry.reason}")
    shown.time.FromDatetime(entry.time)
    if entry.end_time is not None:
        shown.end_time.FromDatetime(entry.end_time)
    return shown
