"""ResourceService: reading containers and domains, and the verbs of their lifecycle."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import grpc

from proa import v1
from proa.v1 import resource_service_pb2_grpc
from proad.core.lifecycle import Lifecycle
from proad.core.listing import OrderBy, ResourceLister
from proad.core.slices import TimeSlicer
from proad.core.stats_service import StatsService
from proad.core.wait_service import WaitService
from proad.core.watch_service import WatchService
from proad.errors import InvalidArgumentError
from proad.model import (
    ContainerSpec,
    DeleteOptions,
    DomainSpec,
    Resource,
    ResourceFilter,
    ResourceStats,
    ResourceUpdate,
    ResourceView,
    RestartOptions,
    StartOptions,
    StatsBatch,
    StatsOptions,
    StopOptions,
    WaitOptions,
    WatchOptions,
)
from proad.model.scope import Scope
from proad.rpc import caller
from proad.rpc.deadline import before
from proad.rpc.decode import chosen, decode, decode_update, plain_text, required_text
from proad.rpc.encode import encode
from proad.rpc.encodings import EncodingCache, first_field
from proad.rpc.masks import ReadMask
from proad.rpc.paging import PageBudget, Paginator
from proad.rpc.redaction import Redact, Redactor, nothing
from proad.rpc.signing import Signer
from proad.rpc.watch_encoder import ResumeTokens, WatchEncoder, point_of, point_text

_Context = grpc.aio.ServicerContext[Any, Any]
# Seconds before a deadline in which the answer to a wait is sent.
_MARGIN = 0.5
# A response, or the bytes of one: the interceptor sends bytes as they are.
_Answer = Any


def _same(resource: Resource, resources: Sequence[Resource]) -> Resource:
    which = resource.id, resource.engine
    return next(each for each in resources if (each.id, each.engine) == which)


def _update(request: v1.UpdateResourceRequest) -> ResourceUpdate:
    mask = request.update_mask
    match request.WhichOneof("spec"):
        case "container":
            return decode_update(ContainerSpec, request.container, mask, prefix="container")
        case "domain":
            return decode_update(DomainSpec, request.domain, mask, prefix="domain")
        case _:
            raise InvalidArgumentError.of("", "set container or domain, with the new values")


def _piece(resource: Resource, mask: ReadMask, encodings: "_Encodings") -> bytes:
    """Return a resource as an encoded ListResourcesResponse has it."""
    if not mask:
        return encodings.resources.get(resource)
    masked = mask.apply(encode(v1.Resource, resource))
    encodings.redact(masked)
    return v1.ListResourcesResponse(resources=[masked]).SerializeToString()


class _Encodings:
    """The encodings of resources and events for callers who may read the same.

    Args:
        redact: leaves out what they may not read.
    """

    def __init__(self, redact: Redact) -> None:
        self.redact = redact
        self.resources = EncodingCache(partial(first_field, redact=redact))
        self.events = WatchEncoder(self.resources, redact)


class ResourceService(resource_service_pb2_grpc.ResourceServiceServicer):
    """Converts, delegates to the core, converts."""

    def __init__(
        self,
        lister: ResourceLister,
        lifecycle: Lifecycle,
        watch_service: WatchService,
        stats_service: StatsService,
        wait_service: WaitService,
        paginator: Paginator,
        signer: Signer,
        slicer: TimeSlicer,
        redactor: Redactor,
    ) -> None:
        self._slicer = slicer
        self._lister = lister
        self._lifecycle = lifecycle
        self._watch_service = watch_service
        self._stats_service = stats_service
        self._waits = wait_service
        self._whole = _Encodings(nothing)
        self._redacted = _Encodings(redactor.redact)
        self._encoded = self._whole.resources
        self._paginator = paginator
        self._signer = signer

    async def ListResources(self, request: v1.ListResourcesRequest, context: _Context) -> _Answer:
        mask = ReadMask(request.read_mask, v1.Resource)
        view = chosen(ResourceView, request, "view", ResourceView.SUMMARY)
        order, partial = OrderBy(request.order_by), request.return_partial_success
        limit, place = self._paginator.bounds(request)
        first, after = (point_of(place[0]), place[1:]) if place else (None, None)
        listing = await self._lister.page(
            decode(ResourceFilter, request.filter, prefix="filter"),
            order,
            limit,
            after=after,
            partial=partial,
        )
        resources, unreachable = listing.resources, [*listing.unreachable]
        if view is ResourceView.FULL:
            full = await self._lister.full_views(resources, partial=partial)
            resources = full.resources
            unreachable += full.unreachable
        budget = PageBudget()
        encodings = self._encodings()
        pieces: list[bytes] = []
        last = order.position(listing.resources[-1]) if listing.more else None
        async for resource in self._slicer.each(resources):
            piece = _piece(resource, mask, encodings)
            if not budget.take(len(piece)):
                # By the SUMMARY: the sort values of the FULL view may have changed since.
                last = order.position(_same(resources[len(pieces) - 1], listing.resources))
                break
            pieces.append(piece)
        # The first page's revision: what has changed since may be on none of the pages.
        first = first or self._watch_service.point(listing.revision)
        point = replace(first, incomplete=first.incomplete or bool(unreachable))
        rest = v1.ListResourcesResponse(
            unreachable=[encode(v1.EngineRef, engine) for engine in unreachable],
            next_page_token=self._paginator.token(request, last and (point_text(point), *last)),
            epoch=point.epoch,
            revision=point.revision,
            resume_token=self._resume_tokens(request.filter).of(point),
        )
        return b"".join([*pieces, rest.SerializeToString()])

    def _encodings(self) -> _Encodings:
        """Return the encodings for the caller."""
        return self._whole if caller.reads_all() else self._redacted

    async def GetResource(self, request: v1.GetResourceRequest, context: _Context) -> _Answer:
        view = chosen(ResourceView, request, "view", ResourceView.FULL)
        mask = ReadMask(request.read_mask, v1.Resource)
        resource = await self._lifecycle.get(required_text(request, "id"), view)
        if not mask:
            return self._encodings().resources.get(resource)
        return v1.GetResourceResponse(resource=mask.apply(encode(v1.Resource, resource)))

    async def WatchResources(
        self, request: v1.WatchResourcesRequest, context: _Context
    ) -> AsyncIterator[_Answer]:
        mask = ReadMask(request.read_mask, v1.Resource)
        options = decode(WatchOptions, request)
        tokens = self._resume_tokens(request.filter)
        batches = self._watch_service.follow(
            decode(ResourceFilter, request.filter, prefix="filter"),
            heartbeat=options.heartbeat_interval,
            after=tokens.read(request.resume_token),
        )
        async for response in self._encodings().events.responses(batches, mask, tokens):
            yield response

    def _resume_tokens(self, filter: v1.ResourceFilter) -> ResumeTokens:
        username = caller.current().username
        return ResumeTokens(self._signer, username, self._watch_service.point, filter)

    async def WaitResource(
        self, request: v1.WaitResourceRequest, context: _Context
    ) -> v1.WaitResourceResponse:
        options = decode(WaitOptions, request)
        remaining = context.time_remaining()
        if remaining is not None:
            # Before the deadline, so that the answer says what has not come.
            limit = timedelta(seconds=before(before(remaining, _MARGIN), _MARGIN))
            options = replace(options, timeout=min(options.timeout, limit))
        resource = await self._waits.wait(required_text(request, "id"), options)
        if resource is None:
            return v1.WaitResourceResponse()
        return v1.WaitResourceResponse(resource=encode(v1.Resource, resource))

    async def StreamStats(
        self, request: v1.StreamStatsRequest, context: _Context
    ) -> AsyncIterator[v1.StreamStatsResponse]:
        options = decode(StatsOptions, request)
        if options.ids and request.HasField("filter"):
            raise InvalidArgumentError.of("filter", "must not be set together with ids")
        batches = self._stats_service.stream(options.ids, options.interval, options.filter)
        async for batch in batches:
            async for response in self._samples(batch):
                yield response

    async def _samples(self, batch: StatsBatch) -> AsyncIterator[v1.StreamStatsResponse]:
        """Encode a batch, in slices: there may be thousands; in responses that clients take."""
        response, budget = v1.StreamStatsResponse(), PageBudget()
        async for item in self._slicer.each([*batch.stats, *batch.missing]):
            sample = isinstance(item, ResourceStats)
            message: Any = encode(v1.ResourceStats if sample else v1.MissingSample, item)
            if not budget.take(message.ByteSize()):
                yield response
                response, budget = v1.StreamStatsResponse(), PageBudget()
                budget.take(message.ByteSize())
            (response.stats if sample else response.missing).append(message)
        yield response

    def close(self) -> None:
        """End all watches and streams of statistics: the daemon is stopping."""
        self._watch_service.close()
        self._stats_service.close()

    async def StartResource(self, request: v1.StartResourceRequest, context: _Context) -> _Answer:
        resource = await self._lifecycle.start(
            required_text(request, "id"), decode(StartOptions, request)
        )
        return self._encoded.get(resource)

    async def StopResource(self, request: v1.StopResourceRequest, context: _Context) -> _Answer:
        resource = await self._lifecycle.stop(
            required_text(request, "id"), decode(StopOptions, request)
        )
        return self._encoded.get(resource)

    async def RestartResource(
        self, request: v1.RestartResourceRequest, context: _Context
    ) -> _Answer:
        resource = await self._lifecycle.restart(
            required_text(request, "id"), decode(RestartOptions, request)
        )
        return self._encoded.get(resource)

    async def PauseResource(self, request: v1.PauseResourceRequest, context: _Context) -> _Answer:
        resource = await self._lifecycle.pause(required_text(request, "id"))
        return self._encoded.get(resource)

    async def ResumeResource(self, request: v1.ResumeResourceRequest, context: _Context) -> _Answer:
        resource = await self._lifecycle.resume(required_text(request, "id"))
        return self._encoded.get(resource)

    async def DeleteResource(self, request: v1.DeleteResourceRequest, context: _Context) -> _Answer:
        resource = await self._lifecycle.delete(
            required_text(request, "id"),
            decode(DeleteOptions, request),
            allow_missing=request.allow_missing,
            etag=plain_text(request, "etag"),
        )
        return self._encoded.get(resource) if resource else v1.DeleteResourceResponse()

    async def UpdateResource(
        self, request: v1.UpdateResourceRequest, context: _Context
    ) -> v1.UpdateResourceResponse:
        # A caller without the scope to read gets a SUMMARY: otherwise an update that changes
        # nothing would let that caller read the FULL view.
        may_look = Scope.BASIC in caller.current().scopes
        updated = await self._lifecycle.update(
            required_text(request, "id"),
            _update(request),
            etag=plain_text(request, "etag"),
            view=ResourceView.FULL if may_look else ResourceView.SUMMARY,
        )
        return encode(v1.UpdateResourceResponse, updated)
