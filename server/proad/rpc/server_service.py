"""ServerService: the daemon itself."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import server_service_pb2_grpc
from proad.model import ServerInfo
from proad.rpc.encode import encode

_Context = grpc.aio.ServicerContext[Any, Any]


class ServerService(server_service_pb2_grpc.ServerServiceServicer):
    """Tells what does not change while the daemon runs."""

    def __init__(self, info: ServerInfo) -> None:
        self._server = encode(v1.ServerInfo, info)

    async def GetServerInfo(
        self, request: v1.GetServerInfoRequest, context: _Context
    ) -> v1.GetServerInfoResponse:
        return v1.GetServerInfoResponse(server=self._server)
