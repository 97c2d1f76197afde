"""HostService: the hosts that the daemon drives."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import host_service_pb2_grpc
from proad.core.hosts import Hosts
from proad.model import Host
from proad.rpc.encode import encode
from proad.rpc.paging import Paginator, Position

_Context = grpc.aio.ServicerContext[Any, Any]


class HostService(host_service_pb2_grpc.HostServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, hosts: Hosts, paginator: Paginator) -> None:
        self._hosts = hosts
        self._paginator = paginator

    async def ListHosts(
        self, request: v1.ListHostsRequest, context: _Context
    ) -> v1.ListHostsResponse:
        hosts = [self._hosts.describe(name) for name in sorted(self._hosts.names)]
        shown, token = self._paginator.paginate(hosts, request, _position, _message)
        return v1.ListHostsResponse(hosts=shown, next_page_token=token)

    async def GetHost(self, request: v1.GetHostRequest, context: _Context) -> v1.GetHostResponse:
        return v1.GetHostResponse(host=_message(self._hosts.describe(request.host)))


def _position(host: Host) -> Position:
    return (host.name,)


def _message(host: Host) -> v1.Host:
    return encode(v1.Host, host)
