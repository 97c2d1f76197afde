"""VolumeService: volumes in storage pools."""

from functools import partial
from typing import Any

import grpc

from proa import v1
from proa.v1 import volume_service_pb2_grpc
from proad.core.volume_operations import VolumeOperations
from proad.model import VolumeRef, VolumeSpec, validate
from proad.rpc.decode import decode, plain_text, required, required_text
from proad.rpc.encode import encode
from proad.rpc.paging import Paginator

_Context = grpc.aio.ServicerContext[Any, Any]


class VolumeService(volume_service_pb2_grpc.VolumeServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, volumes: VolumeOperations, paginator: Paginator) -> None:
        self._volumes = volumes
        self._paginator = paginator

    async def ListVolumes(
        self, request: v1.ListVolumesRequest, context: _Context
    ) -> v1.ListVolumesResponse:
        volumes = await self._volumes.list(plain_text(request, "pool"), host=request.host)
        page, token = self._paginator.paginate(
            volumes,
            request,
            lambda volume: (volume.pool, volume.name),
            partial(encode, v1.Volume),
        )
        return v1.ListVolumesResponse(volumes=page, next_page_token=token)

    async def CreateVolume(
        self, request: v1.CreateVolumeRequest, context: _Context
    ) -> v1.CreateVolumeResponse:
        spec = decode(VolumeSpec, required(request, "spec"), prefix="spec")
        volume = await self._volumes.create(spec, host=request.host)
        return v1.CreateVolumeResponse(volume=encode(v1.Volume, volume))

    async def DeleteVolume(
        self, request: v1.DeleteVolumeRequest, context: _Context
    ) -> v1.DeleteVolumeResponse:
        ref = validate(VolumeRef, {"pool": request.pool, "name": required_text(request, "name")})
        await self._volumes.delete(
            ref.pool,
            ref.name,
            host=request.host,
            ignore_unreadable=tuple(request.ignore_unreadable),
        )
        return v1.DeleteVolumeResponse()
