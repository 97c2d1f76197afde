"""HostService: the hosts that the daemon drives."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import host_service_pb2_grpc
from proad.core.hosts import Hosts
from proad.rpc.encode import encode

_Context = grpc.aio.ServicerContext[Any, Any]


class HostService(host_service_pb2_grpc.HostServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, hosts: Hosts, *, daemon_version: str) -> None:
        self._hosts = hosts
        self._daemon_version = daemon_version

    async def GetHost(self, request: v1.GetHostRequest, context: _Context) -> v1.GetHostResponse:
        return v1.GetHostResponse(
            host=encode(v1.Host, self._hosts.describe(request.host)),
            host_names=self._hosts.names,
            daemon_version=self._daemon_version,
        )
