"""SnapshotService: snapshots of domains."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import snapshot_service_pb2_grpc
from proad.core.snapshot_operations import SnapshotOperations
from proad.model import RevertState, SnapshotSpec
from proad.rpc.decode import chosen, decode, required_text
from proad.rpc.encode import encode
from proad.rpc.paging import Paginator

_Context = grpc.aio.ServicerContext[Any, Any]


class SnapshotService(snapshot_service_pb2_grpc.SnapshotServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, snapshots: SnapshotOperations, paginator: Paginator) -> None:
        self._snapshots = snapshots
        self._paginator = paginator

    async def ListSnapshots(
        self, request: v1.ListSnapshotsRequest, context: _Context
    ) -> v1.ListSnapshotsResponse:
        snapshots = await self._snapshots.list(required_text(request, "id"))
        page, token = self._paginator.paginate(
            snapshots,
            request,
            lambda each: each.position,
            lambda each: encode(v1.Snapshot, each.snapshot),
        )
        return v1.ListSnapshotsResponse(snapshots=page, next_page_token=token)

    async def GetSnapshot(
        self, request: v1.GetSnapshotRequest, context: _Context
    ) -> v1.GetSnapshotResponse:
        snapshot = await self._snapshots.get(
            required_text(request, "id"), required_text(request, "name")
        )
        return v1.GetSnapshotResponse(snapshot=encode(v1.Snapshot, snapshot))

    async def CreateSnapshot(
        self, request: v1.CreateSnapshotRequest, context: _Context
    ) -> v1.CreateSnapshotResponse:
        snapshot = await self._snapshots.create(
            required_text(request, "id"), decode(SnapshotSpec, request)
        )
        return v1.CreateSnapshotResponse(snapshot=encode(v1.Snapshot, snapshot))

    async def RevertSnapshot(
        self, request: v1.RevertSnapshotRequest, context: _Context
    ) -> v1.RevertSnapshotResponse:
        resource = await self._snapshots.revert(
            required_text(request, "id"),
            required_text(request, "name"),
            chosen(RevertState, request, "state", None),
        )
        return v1.RevertSnapshotResponse(resource=encode(v1.Resource, resource))

    async def DeleteSnapshot(
        self, request: v1.DeleteSnapshotRequest, context: _Context
    ) -> v1.DeleteSnapshotResponse:
        await self._snapshots.delete(
            required_text(request, "id"),
            required_text(request, "name"),
            children=request.delete_children,
        )
        return v1.DeleteSnapshotResponse()
