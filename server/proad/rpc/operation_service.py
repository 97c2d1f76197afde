"""OperationService: what became of requests with an id, and how to end one."""

from datetime import datetime
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from proa import v1
from proa.v1 import operation_service_pb2_grpc
from proad.core.requests import RETENTION, RequestJournal, RequestKey, RequestRecord
from proad.core.tenancy import current_visibility
from proad.model import RequestFilter, RequestState
from proad.rpc import caller
from proad.rpc.decode import decode, required_text
from proad.rpc.paging import PageBudget, Paginator, Position
from proad.rpc.request_ids import request_id

_Context = grpc.aio.ServicerContext[Any, Any]


class OperationService(operation_service_pb2_grpc.OperationServiceServicer):
    """Converts, delegates to the journal, converts."""

    def __init__(self, journal: RequestJournal, paginator: Paginator) -> None:
        self._journal = journal
        self._paginator = paginator

    async def GetRequest(
        self, request: v1.GetRequestRequest, context: _Context
    ) -> v1.GetRequestResponse:
        record = await self._journal.get(_key(request), sight=current_visibility().digest)
        return v1.GetRequestResponse(request=_shown(record))

    async def ListRequests(
        self, request: v1.ListRequestsRequest, context: _Context
    ) -> v1.ListRequestsResponse:
        limit, after = self._paginator.bounds(request)
        records = await self._journal.page(
            caller.current().user_id,
            sight=current_visibility().digest,
            states=decode(RequestFilter, request).states,
            before=None if after is None else (datetime.fromisoformat(after[0]), after[1]),
            most=limit + 1,
        )
        budget, shown = PageBudget(), list[v1.Request]()
        for record in records[:limit]:
            message = _shown(record)
            if not budget.take(message.ByteSize()):
                break
            shown.append(message)
        more = len(records) > len(shown)
        last = _position(records[len(shown) - 1]) if more else None
        return v1.ListRequestsResponse(
            requests=shown, next_page_token=self._paginator.token(request, last)
        )

    async def CancelRequest(
        self, request: v1.CancelRequestRequest, context: _Context
    ) -> v1.CancelRequestResponse:
        record = await self._journal.cancel(_key(request), sight=current_visibility().digest)
        return v1.CancelRequestResponse(request=_shown(record))


def _key(request: Any) -> RequestKey:
    required_text(request, "request_id")
    return RequestKey(caller.current().user_id, request_id(request))


def _position(record: RequestRecord) -> Position:
    return record.start_time.isoformat(), record.key.id


def _shown(record: RequestRecord) -> v1.Request:
    shown = v1.Request(
        request_id=record.key.id,
        method_name=record.method,
        state=v1.RequestState.Value(f"REQUEST_STATE_{record.state}"),
        path=record.path,
    )
    shown.start_time.FromDatetime(record.start_time)
    if record.end_time is not None:
        shown.end_time.FromDatetime(record.end_time)
        shown.expire_time.FromDatetime(record.end_time + RETENTION)
    if record.state is RequestState.FAILED:
        shown.failure.CopyFrom(_failure(record.answer))
    return shown


def _failure(encoded: bytes) -> v1.RequestFailure:
    status = status_pb2.Status.FromString(encoded)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    return v1.RequestFailure(
        code=status.code,
        reason=v1.ErrorReason.Value(f"ERROR_REASON_{info.reason}"),
        message=status.message,
        metadata=info.metadata,
    )
