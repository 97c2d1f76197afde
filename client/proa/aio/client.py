"""The client for asyncio."""

import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Self, overload
from weakref import WeakSet

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from proa import v1, waiting
from proa.aio.inside import AsyncInsideCalls
from proa.aio.inside_files import AsyncFileCalls
from proa.aio.interceptors import interceptors
from proa.aio.tokens import AsyncTokenSource, TokenFunction
from proa.aio.waiting import wait
from proa.aio.watching import AsyncWatchStream, Watch
from proa.call_check import CallCheck
from proa.channels import TLS, Endpoint, Options
from proa.client import seconds
from proa.interceptors import Settings
from proa.local_login import login_socket
from proa.paging import async_pages
from proa.timing import ClientTiming
from proa.tokens import Login, ScopeName, source_of
from proa.watch_state import WatchState


def connect(
    target: str | None = None,
    *,
    token: str | TokenFunction | None = None,
    username: str | None = None,
    password: str | Callable[[], str] | None = None,
    scopes: Iterable[ScopeName] | None = None,
    service_key: str | None = None,
    local_login: bool | str | os.PathLike[str] = False,
    tls: TLS | bool | None = None,
    timeout: timedelta | float | None = None,
    allow_insecure: bool = False,
    request_ids: bool = True,
    options: Options = (),
) -> "Client":
    """Return an asyncio client of the daemon at `target`, as `proa.connect` does.

        async with proa.aio.connect(username="ann", password=secret) as client:
            response = await client.resources.GetResource(v1.GetResourceRequest(id="web"))

    A function for `token` may be a coroutine function. Must be called in the event loop
    in which the client is used.
    """
    endpoint = Endpoint.of(target, tls=tls, allow_insecure=allow_insecure)
    path = login_socket(endpoint, chosen=local_login)
    source: Login | TokenFunction | str | None = source_of(
        token, username, password, scopes, service_key, path
    )
    if source is not None:
        endpoint.check_secret("the token, password or key")
    settings = endpoint.options(options, request_ids=request_ids)

    def channel(calls: Sequence[aio.ClientInterceptor]) -> aio.Channel:
        if endpoint.tls is None:
            return aio.insecure_channel(endpoint.target, settings, interceptors=calls)
        credentials = endpoint.tls.credentials()
        return aio.secure_channel(endpoint.target, credentials, settings, interceptors=calls)

    return Client(
        channel, source, timeout=timeout, request_ids=request_ids, check=endpoint.check_call
    )


class Client(AsyncInsideCalls, AsyncFileCalls):
    """The daemon's services over one channel, for the tasks of one event loop.

    Each attribute is the generated stub of a service: an RPC takes its request, is
    awaited or iterated over, and raises a subclass of `proa.Error` on failure.

        response = await client.resources.GetResource(v1.GetResourceRequest(id="web"))
        async for event in client.images.PullImage(v1.PullImageRequest(image="debian:12")):
            print(event.progress.status)

    Args:
        channel: makes the channel with the given interceptors; closed with the client.
        source: the source of tokens; see `connect`.
        timeout: default deadline of unary calls, in seconds; None for none.
        request_ids: whether changing calls get a request id; see `connect`.
        check: raises ValueError for a method that must not be called on this channel.
        timing: durations of logins, renewals and watches.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        channel: Callable[[Sequence[aio.ClientInterceptor]], aio.Channel],
        source: Login | TokenFunction | str | None = None,
        *,
        timeout: timedelta | float | None = None,
        request_ids: bool = True,
        check: Callable[[str], None] = lambda _: None,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = seconds(timeout)
        self._clock = clock
        self._check = CallCheck(check)
        tokens = AsyncTokenSource(source, self._login, self._refresh, timing=timing, clock=clock)
        self._channel = channel(
            interceptors(tokens, Settings(self._timeout, request_ids, self._check, timing, clock))
        )
        self.console = v1.ConsoleServiceStub(self._channel)
        super().__init__(self.console, timing)
        self.files = v1.FileServiceStub(self._channel)
        self.auth = v1.AuthServiceStub(self._channel)
        self.resources = v1.ResourceServiceStub(self._channel)
        self.containers = v1.ContainerServiceStub(self._channel)
        self.images = v1.ImageServiceStub(self._channel)
        self.domains = v1.DomainServiceStub(self._channel)
        self.snapshots = v1.SnapshotServiceStub(self._channel)
        self.volumes = v1.VolumeServiceStub(self._channel)
        self.hosts = v1.HostServiceStub(self._channel)
        self.operations = v1.OperationServiceStub(self._channel)
        self.audit = v1.AuditServiceStub(self._channel)
        self.server = v1.ServerServiceStub(self._channel)
        self._streams: WeakSet[AsyncWatchStream] = WeakSet()

    async def _login(self, request: v1.CreateTokenRequest) -> v1.CreateTokenResponse:
        return await self.auth.CreateToken(
            request, timeout=self._timeout or self._timing.login_timeout
        )

    async def _refresh(self, request: v1.RefreshTokenRequest) -> v1.RefreshTokenResponse:
        return await self.auth.RefreshToken(
            request, timeout=self._timeout or self._timing.login_timeout
        )

    async def list_resources(
        self,
        filter: v1.ResourceFilter | None = None,
        *,
        order_by: str = "",
        view: v1.ResourceView.ValueType = v1.RESOURCE_VIEW_UNSPECIFIED,
        read_mask: Iterable[str] = (),
        page_size: int = 0,
    ) -> AsyncIterator[v1.Resource]:
        """Iterate over containers and domains, fetching page after page.

            running = v1.ResourceFilter(states=[v1.RESOURCE_STATE_RUNNING])
            names = [r.name async for r in client.list_resources(running, order_by="name desc")]

        Args:
            filter: the resources to list; default: all.
            order_by: order, such as "create_time desc"; default: by name.
            view: view of each resource; default: SUMMARY.
            read_mask: fields of Resource to fetch; default: all fields of the view.
            page_size: resources to fetch at a time; default: as many as the daemon allows.
        """
        request = v1.ListResourcesRequest(
            filter=filter,
            order_by=order_by,
            view=view,
            read_mask=FieldMask(paths=read_mask) if read_mask else None,
            page_size=page_size,
        )
        async for page in async_pages(self.resources.ListResources, request):
            for resource in page.resources:
                yield resource

    def watch(
        self,
        filter: v1.ResourceFilter | None = None,
        *,
        read_mask: Iterable[str] = (),
        heartbeat: timedelta | float | None = None,
    ) -> Watch:
        """Watch resources, as one continuous sequence of events without an end.

            async for event in client.watch():
                if isinstance(event, proa.Change):
                    print(v1.ChangeType.Name(event.type), event.resource.name)

        As `proa.Client.watch`. `close` ends it from another task.
        """
        state = WatchState(filter, read_mask, heartbeat, timing=self._timing, clock=self._clock)
        stream = AsyncWatchStream(self.resources.WatchResources, state.patience)
        self._streams.add(stream)
        return Watch(stream, state)

    @overload
    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        ready: bool = False,
        has_address: bool = False,
        removed: Literal[False] = False,
        timeout: timedelta | float | None = None,
    ) -> Coroutine[Any, Any, v1.Resource]: ...

    @overload
    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        ready: bool = False,
        has_address: bool = False,
        removed: bool,
        timeout: timedelta | float | None = None,
    ) -> Coroutine[Any, Any, v1.Resource | None]: ...

    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        ready: bool = False,
        has_address: bool = False,
        removed: bool = False,
        timeout: timedelta | float | None = None,
    ) -> Coroutine[Any, Any, v1.Resource | None]:
        """Wait until a condition holds for a resource, as `proa.Client.wait` does.

        await client.wait("web", v1.RESOURCE_STATE_RUNNING, timeout=60)
        """
        wanted = waiting.condition(states, ready=ready, has_address=has_address, removed=removed)
        state = waiting.WaitState(
            id, wanted, seconds(timeout), timing=self._timing, clock=self._clock
        )
        return wait(self.resources, state)

    async def list_images(
        self,
        reference: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        dangling: bool | None = None,
        host: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[v1.Image]:
        """Iterate over the images of a host that match `reference`, newest first."""
        request = v1.ListImagesRequest(
            reference=reference, labels=labels, dangling=dangling, host=host, page_size=page_size
        )
        async for page in async_pages(self.images.ListImages, request):
            for image in page.images:
                yield image

    async def list_snapshots(self, id: str, *, page_size: int = 0) -> AsyncIterator[v1.Snapshot]:
        """Iterate over the snapshots of a resource, oldest first."""
        request = v1.ListSnapshotsRequest(id=id, page_size=page_size)
        async for page in async_pages(self.snapshots.ListSnapshots, request):
            for snapshot in page.snapshots:
                yield snapshot

    async def list_volumes(
        self, pool: str = "", *, host: str = "", page_size: int = 0
    ) -> AsyncIterator[v1.Volume]:
        """Iterate over the volumes of a storage pool, or of all active ones."""
        request = v1.ListVolumesRequest(pool=pool, host=host, page_size=page_size)
        async for page in async_pages(self.volumes.ListVolumes, request):
            for volume in page.volumes:
                yield volume

    async def list_requests(
        self, states: Iterable[v1.RequestState.ValueType] = (), *, page_size: int = 0
    ) -> AsyncIterator[v1.Request]:
        """Iterate over the user's own calls that carried a request id, newest first."""
        request = v1.ListRequestsRequest(states=states, page_size=page_size)
        async for page in async_pages(self.operations.ListRequests, request):
            for one in page.requests:
                yield one

    async def list_audit_entries(
        self, filter: v1.AuditFilter | None = None, *, page_size: int = 0
    ) -> AsyncIterator[v1.AuditEntry]:
        """Iterate over entries of the audit log, newest first. Needs the scope `audit`."""
        request = v1.ListEntriesRequest(filter=filter, page_size=page_size)
        async for page in async_pages(self.audit.ListEntries, request):
            for entry in page.entries:
                yield entry

    async def close(self) -> None:
        """Close the channel. Running calls end with Cancelled, watches without an error.

        A call that is made afterwards is a ValueError.
        """
        self._check.close()
        for stream in list(self._streams):
            stream.close()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
