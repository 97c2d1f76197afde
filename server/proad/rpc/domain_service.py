"""DomainService: creating domains, and their XML."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import domain_service_pb2_grpc
from proad.core.provisioning import Provisioning
from proad.model import DomainSpec, DomainXml
from proad.rpc.decode import decode, required, required_text
from proad.rpc.encode import encode

_Context = grpc.aio.ServicerContext[Any, Any]


class DomainService(domain_service_pb2_grpc.DomainServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, provisioning: Provisioning) -> None:
        self._provisioning = provisioning

    async def CreateDomain(
        self, request: v1.CreateDomainRequest, context: _Context
    ) -> v1.CreateDomainResponse:
        spec = decode(DomainSpec, required(request, "spec"), prefix="spec")
        resource = await self._provisioning.create_domain(
            spec, start=request.start, host=request.host
        )
        return v1.CreateDomainResponse(resource=encode(v1.Resource, resource))

    async def CreateDomainFromXml(
        self, request: v1.CreateDomainFromXmlRequest, context: _Context
    ) -> v1.CreateDomainFromXmlResponse:
        required_text(request, "xml")
        resource = await self._provisioning.create_domain_from_xml(
            decode(DomainXml, request), start=request.start, host=request.host
        )
        return v1.CreateDomainFromXmlResponse(resource=encode(v1.Resource, resource))

    async def GetDomainXml(
        self, request: v1.GetDomainXmlRequest, context: _Context
    ) -> v1.GetDomainXmlResponse:
        xml = await self._provisioning.domain_xml(
            required_text(request, "id"), inactive=request.inactive
        )
        return v1.GetDomainXmlResponse(xml=xml)
