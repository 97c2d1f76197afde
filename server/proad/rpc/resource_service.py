"""ResourceService: looking at containers and domains, and taking them through their lives."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from proa import v1
from proa.v1 import resource_service_pb2_grpc
from proad.core.lifecycle import Lifecycle
from proad.core.listing import Lists, Order
from proad.core.measuring import Measuring
from proad.core.watches import Watches
from proad.model import (
    DeleteOptions,
    Resource,
    ResourceFilter,
    ResourceUpdate,
    ResourceView,
    RestartOptions,
    StartOptions,
    StatsOptions,
    StopOptions,
    WatchOptions,
)
from proad.rpc.decode import chosen, decode, plain_text, required_text
from proad.rpc.encode import encode
from proad.rpc.encodings import EncodedResources, Recent
from proad.rpc.masks import check_mask, masked
from proad.rpc.paging import paginate
from proad.rpc.watching import EncodedEvents, ResumeTokens

_PAGES = 64

_Context = grpc.aio.ServicerContext[Any, Any]


class ResourceService(resource_service_pb2_grpc.ResourceServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(
        self, lists: Lists, lifecycle: Lifecycle, watches: Watches, measuring: Measuring
    ) -> None:
        self._lists = lists
        self._lifecycle = lifecycle
        self._watches = watches
        self._measuring = measuring
        self._events = EncodedEvents()
        self._summaries = EncodedResources(lambda r: v1.ListResourcesResponse(resources=[r]))
        self._short = EncodedResources(lambda r: v1.GetResourceResponse(resource=r))
        self._full = EncodedResources(lambda r: v1.GetResourceResponse(resource=r))
        # Pages of lists, each good for as long as nothing changes.
        self._pages: Recent[bytes, tuple[int, bytes]] = Recent(_PAGES)

    async def ListResources(  # type: ignore[override] # encoded before, the gate lets it pass
        self, request: v1.ListResourcesRequest, context: _Context
    ) -> v1.ListResourcesResponse | bytes:
        revision, key = self._lists.revision, request.SerializeToString(deterministic=True)
        if (page := self._pages.get(key)) is not None and page[0] == revision:
            return page[1]
        check_mask(request.read_mask, v1.Resource)
        view = chosen(ResourceView, request, "view", ResourceView.SUMMARY)
        order = Order(request.order_by)
        listing = await self._lists.resources(
            decode(ResourceFilter, request.filter, prefix="filter"),
            order,
            partial=request.return_partial_success,
        )
        revision = self._lists.revision
        shown, token = paginate(
            listing.resources,
            request,
            lambda resource: order.position(resource).values,
            comparable=order.at,
        )
        rest = v1.ListResourcesResponse(next_page_token=token, unreachable=listing.unreachable)
        if view is ResourceView.FULL or request.read_mask.paths:
            full = await self._lists.in_full(shown) if view is ResourceView.FULL else shown
            rest.resources.extend(masked(encode(v1.Resource, r), request.read_mask) for r in full)
            return rest
        encoded = b"".join([*map(self._summaries.get, shown), rest.SerializeToString()])
        if not listing.unreachable:
            self._pages.keep(key, (revision, encoded))
        return encoded

    async def GetResource(  # type: ignore[override] # as above
        self, request: v1.GetResourceRequest, context: _Context
    ) -> v1.GetResourceResponse | bytes:
        check_mask(request.read_mask, v1.Resource)
        view = chosen(ResourceView, request, "view", ResourceView.FULL)
        resource = await self._lifecycle.get(required_text(request, "id"), view)
        if request.read_mask.paths:
            return v1.GetResourceResponse(
                resource=masked(encode(v1.Resource, resource), request.read_mask)
            )
        return (self._full if view is ResourceView.FULL else self._short).get(resource)

    async def WatchResources(  # type: ignore[override] # as above
        self, request: v1.WatchResourcesRequest, context: _Context
    ) -> AsyncIterator[bytes]:
        check_mask(request.read_mask, v1.Resource)
        options = decode(WatchOptions, request)
        tokens = ResumeTokens(self._watches.run_id, request.filter)
        batches = self._watches.follow(
            decode(ResourceFilter, request.filter, prefix="filter"),
            heartbeat=options.heartbeat_interval,
            after=tokens.read(request.resume_token),
        )
        async for response in self._events.responses(batches, request.read_mask, tokens):
            yield response

    async def StreamStats(
        self, request: v1.StreamStatsRequest, context: _Context
    ) -> AsyncIterator[v1.StreamStatsResponse]:
        options = decode(StatsOptions, request)
        async for samples in self._measuring.stream(options.ids, options.interval):
            yield v1.StreamStatsResponse(
                stats=[encode(v1.ResourceStats, sample) for sample in samples]
            )

    def close(self) -> None:
        """End the streams that never end by themselves: the daemon is stopping."""
        self._watches.close()
        self._measuring.close()

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
            etag=plain_text(request, "etag"),
        )
        return v1.DeleteResourceResponse(resource=_proto(resource) if resource else None)

    async def UpdateResource(
        self, request: v1.UpdateResourceRequest, context: _Context
    ) -> v1.UpdateResourceResponse:
        updated = await self._lifecycle.update(
            required_text(request, "id"),
            decode(ResourceUpdate, request),
            etag=plain_text(request, "etag"),
        )
        return encode(v1.UpdateResourceResponse, updated)


def _proto(resource: Resource) -> v1.Resource:
    return encode(v1.Resource, resource)
