"""ResourceService: looking at containers and domains, and taking them through their lives."""

from typing import Any

import grpc

from proa import v1
from proa.v1 import resource_service_pb2_grpc
from proad.core.lifecycle import Lifecycle
from proad.core.listing import Lists, Order
from proad.model import (
    DeleteOptions,
    Resource,
    ResourceFilter,
    ResourceUpdate,
    ResourceView,
    RestartOptions,
    StartOptions,
    StopOptions,
)
from proad.rpc.decode import chosen, decode, required_text
from proad.rpc.encode import encode
from proad.rpc.masks import check_mask, masked
from proad.rpc.paging import paginate

_Context = grpc.aio.ServicerContext[Any, Any]


class ResourceService(resource_service_pb2_grpc.ResourceServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(self, lists: Lists, lifecycle: Lifecycle) -> None:
        self._lists = lists
        self._lifecycle = lifecycle

    async def ListResources(
        self, request: v1.ListResourcesRequest, context: _Context
    ) -> v1.ListResourcesResponse:
        check_mask(request.read_mask, v1.Resource)
        view = chosen(ResourceView, request, "view", ResourceView.SUMMARY)
        order = Order(request.order_by)
        listing = await self._lists.resources(
            decode(ResourceFilter, request.filter, prefix="filter"),
            order,
            partial=request.return_partial_success,
        )
        page, token = paginate(
            listing.resources,
            request,
            lambda resource: order.position(resource).values,
            comparable=order.at,
        )
        if view is ResourceView.FULL:
            page = await self._lists.in_full(page)
        return v1.ListResourcesResponse(
            resources=[masked(encode(v1.Resource, r), request.read_mask) for r in page],
            next_page_token=token,
            unreachable=listing.unreachable,
        )

    async def GetResource(
        self, request: v1.GetResourceRequest, context: _Context
    ) -> v1.GetResourceResponse:
        check_mask(request.read_mask, v1.Resource)
        view = chosen(ResourceView, request, "view", ResourceView.FULL)
        resource = await self._lifecycle.get(required_text(request, "id"), view)
        return v1.GetResourceResponse(
            resource=masked(encode(v1.Resource, resource), request.read_mask)
        )

    async def StartResource(
        self, request: v1.StartResourceRequest, context: _Context
    ) -> v1.StartResourceResponse:
        resource = await self._lifecycle.start(
            required_text(request, "id"), decode(StartOptions, request)
        )
        return v1.StartResourceResponse(resource=_proto(resource))

    async def StopResource(
        self, request: v1.StopResourceRequest, context: _Context
    ) -> v1.StopResourceResponse:
        resource = await self._lifecycle.stop(
            required_text(request, "id"), decode(StopOptions, request)
        )
        return v1.StopResourceResponse(resource=_proto(resource))

    async def RestartResource(
        self, request: v1.RestartResourceRequest, context: _Context
    ) -> v1.RestartResourceResponse:
        resource = await self._lifecycle.restart(
            required_text(request, "id"), decode(RestartOptions, request)
        )
        return v1.RestartResourceResponse(resource=_proto(resource))

    async def PauseResource(
        self, request: v1.PauseResourceRequest, context: _Context
    ) -> v1.PauseResourceResponse:
        return v1.PauseResourceResponse(
            resource=_proto(await self._lifecycle.pause(required_text(request, "id")))
        )

    async def ResumeResource(
        self, request: v1.ResumeResourceRequest, context: _Context
    ) -> v1.ResumeResourceResponse:
        return v1.ResumeResourceResponse(
            resource=_proto(await self._lifecycle.resume(required_text(request, "id")))
        )

    async def DeleteResource(
        self, request: v1.DeleteResourceRequest, context: _Context
    ) -> v1.DeleteResourceResponse:
        resource = await self._lifecycle.delete(
            required_text(request, "id"),
            decode(DeleteOptions, request),
            allow_missing=request.allow_missing,
        )
        return v1.DeleteResourceResponse(resource=_proto(resource) if resource else None)

    async def UpdateResource(
        self, request: v1.UpdateResourceRequest, context: _Context
    ) -> v1.UpdateResourceResponse:
        resource = await self._lifecycle.update(
            required_text(request, "id"), decode(ResourceUpdate, request)
        )
        return v1.UpdateResourceResponse(resource=_proto(resource))


def _proto(resource: Resource) -> v1.Resource:
    return encode(v1.Resource, resource)
