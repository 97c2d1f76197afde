"""The synchronous client."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Literal, Self, overload
from weakref import WeakSet

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1, waiting
from proa.call_check import CallCheck
from proa.channels import TLS, Endpoint, Options
from proa.file_trees import TreeCalls
from proa.inside import InsideCalls
from proa.interceptors import ClientInterceptor, Settings
from proa.local_login import login_socket
from proa.paging import pages
from proa.timing import ClientTiming
from proa.tokens import ScopeName, Source, StoredLogin, TokenSource, source_of
from proa.watch_state import WatchState
from proa.watching import Watch, WatchStream


def connect(
    target: str | None = None,
    *,
    token: str | Callable[[], str] | StoredLogin | None = None,
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
    """Return a client of the daemon at `target`. Nothing is sent before the first call.

        with proa.connect(username="ann", password=secret) as client:
            for resource in client.list_resources():
                print(resource.name, v1.ResourceState.Name(resource.state))

        client = proa.connect("vm-host:50051", tls=proa.TLS(ca_file="ca.pem"), token=token)
        client = proa.connect("unix:/run/proa/proad.sock", token=lambda: cache.token())

    With a username and password the client logs in on the first call, renews the token
    shortly before its expiry, and once more if the daemon refuses it. For that it needs no
    password again as long as it makes a call every few hours.

    Args:
        target: "HOST", "HOST:PORT", "unix:PATH" or any other target of gRPC; the port of a
            host is 50051 by default. Default: the variable PROA_TARGET, then 127.0.0.1:50051.
        token: a token, a function that is called for a token before every call, or a
            `proa.tokens.StoredLogin`.
        username: name of the user to log in.
        password: password of the user, or a function that is called for it before each login,
            so that the client does not keep it.
        scopes: scopes of the tokens, of "basic", "advanced" and "audit"; default: all scopes of
            the user or key.
        service_key: a key of `proad key create`, in place of a username and a password.
        local_login: True, or the path of the daemon's login socket: tokens for whom this user of
            the host stands for by the daemon's settings, without a password. True is `login.sock`
            beside the Unix socket of the target, or /run/proa/login.sock on loopback. A username
            chooses where there are several.
        tls: True for TLS with the authorities that gRPC ships with; or a `TLS`.
        timeout: default deadline of unary calls, in seconds; default: none.
        allow_insecure: send password and token unencrypted over a network.
        request_ids: give each changing call a `request_id`, so that it is repeated where its
            answer was lost, and yet happens once. Without, a changing call costs the daemon
            two commits less, and is repeated only if it is idempotent. A caller may set ids
            in requests either way.
        options: further options of the channel, which override the client's own.

    Raises:
        ValueError: the arguments exclude each other, the target is invalid, or credentials
            would cross a network unencrypted.
        OSError: a TLS file cannot be read.
    """
    endpoint = Endpoint.of(target, tls=tls, allow_insecure=allow_insecure)
    path = login_socket(endpoint, chosen=local_login)
    source: Source = source_of(token, username, password, scopes, service_key, path)
    if source is not None:
        endpoint.check_secret("the token, password or key")
    settings = endpoint.options(options, request_ids=request_ids)
    if endpoint.tls is None:
        channel = grpc.insecure_channel(endpoint.target, settings)
    else:
        channel = grpc.secure_channel(endpoint.target, endpoint.tls.credentials(), settings)
    return Client(
        channel, source, timeout=timeout, request_ids=request_ids, check=endpoint.check_call
    )


class Client(InsideCalls, TreeCalls):
    """The daemon's services over one channel. Thread-safe.

    Each attribute is the generated stub of a service: an RPC takes its request, returns its
    response, and raises a subclass of `proa.Error` on failure.

        response = client.resources.GetResource(v1.GetResourceRequest(id="web"))
        for event in client.images.PullImage(v1.PullImageRequest(image="debian:12")):
            print(event.progress.status)

    Args:
        channel: the channel; closed with the client.
        source: the source of tokens; see `connect`.
        timeout: default deadline of unary calls, in seconds; None for none.
        request_ids: whether changing calls get a request id; see `connect`.
        check: raises ValueError for a method that must not be called on this channel.
        timing: durations of logins, renewals and watches.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        source: Source = None,
        *,
        timeout: timedelta | float | None = None,
        request_ids: bool = True,
        check: Callable[[str], None] = lambda _: None,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._timeout = seconds(timeout)
        self._clock = clock
        tokens = TokenSource(source, self._login, self._refresh, timing=timing, clock=clock)
        self._tokens = tokens
        self._check = CallCheck(check)
        interceptor = ClientInterceptor(
            tokens, Settings(self._timeout, request_ids, self._check, timing, clock)
        )
        intercepted = grpc.intercept_channel(channel, interceptor)
        self.console = v1.ConsoleServiceStub(intercepted)
        super().__init__(self.console, timing)
        self.files = v1.FileServiceStub(intercepted)
        self.auth = v1.AuthServiceStub(intercepted)
        self.resources = v1.ResourceServiceStub(intercepted)
        self.containers = v1.ContainerServiceStub(intercepted)
        self.images = v1.ImageServiceStub(intercepted)
        self.domains = v1.DomainServiceStub(intercepted)
        self.snapshots = v1.SnapshotServiceStub(intercepted)
        self.volumes = v1.VolumeServiceStub(intercepted)
        self.hosts = v1.HostServiceStub(intercepted)
        self.operations = v1.OperationServiceStub(intercepted)
        self.audit = v1.AuditServiceStub(intercepted)
        self.server = v1.ServerServiceStub(intercepted)
        self._streams: WeakSet[WatchStream] = WeakSet()

    def token(self) -> str | None:
        """Return the token of a call that is made now; None: calls carry none.

        Raises:
            proa.Error: there is none to be had.
        """
        return self._tokens.get()

    def _login(self, request: v1.CreateTokenRequest) -> v1.CreateTokenResponse:
        return self.auth.CreateToken(request, timeout=self._timeout or self._timing.login_timeout)

    def _refresh(self, request: v1.RefreshTokenRequest) -> v1.RefreshTokenResponse:
        return self.auth.RefreshToken(request, timeout=self._timeout or self._timing.login_timeout)

    def list_resources(
        self,
        filter: v1.ResourceFilter | None = None,
        *,
        order_by: str = "",
        view: v1.ResourceView.ValueType = v1.RESOURCE_VIEW_UNSPECIFIED,
        read_mask: Iterable[str] = (),
        page_size: int = 0,
    ) -> Iterator[v1.Resource]:
        """Iterate over containers and domains, fetching page after page.

            running = v1.ResourceFilter(states=[v1.RESOURCE_STATE_RUNNING])
            names = [r.name for r in client.list_resources(running, order_by="create_time desc")]

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
        for page in pages(self.resources.ListResources, request):
            yield from page.resources

    def watch(
        self,
        filter: v1.ResourceFilter | None = None,
        *,
        read_mask: Iterable[str] = (),
        heartbeat: timedelta | float | None = None,
    ) -> Watch:
        """Watch resources, as one continuous sequence of events without an end.

            for event in client.watch(v1.ResourceFilter(labels={"team": "web"})):
                if isinstance(event, proa.Change):
                    print(v1.ChangeType.Name(event.type), event.resource.name)

        The initial state comes first, then `proa.Synced`, then each change as it happens.
        The watch survives a restart of the daemon, a broken or silent connection and an
        expired token: it resumes where it was, or reads everything again and reports the
        differences. See `proa.events`.

        The first event makes the call, and leaving the loop ends it; `close` ends it from
        another thread, as does closing the client.

        Args:
            filter: the resources to watch; default: all.
            read_mask: fields of Resource to send; default: all of the SUMMARY view. "id",
                "kind" and "host" are always sent.
            heartbeat: heartbeat interval of the daemon in seconds, from 1 s to 5 min;
                default: 15 s. After three missed heartbeats the connection counts as broken.

        Raises:
            proa.Error: during the iteration: the first call failed; or a later call failed
                in a way that no other call can mend, such as an expired token that cannot
                be renewed.
        """
        state = WatchState(filter, read_mask, heartbeat, timing=self._timing, clock=self._clock)
        stream = WatchStream(self.resources.WatchResources, state.patience)
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
    ) -> v1.Resource: ...

    @overload
    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        ready: bool = False,
        has_address: bool = False,
        removed: bool,
        timeout: timedelta | float | None = None,
    ) -> v1.Resource | None: ...

    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        ready: bool = False,
        has_address: bool = False,
        removed: bool = False,
        timeout: timedelta | float | None = None,
    ) -> v1.Resource | None:
        """Wait until a condition holds for a resource. Returns at once if it does.

            client.wait("web", v1.RESOURCE_STATE_STOPPED, v1.RESOURCE_STATE_FAILED, timeout=60)
            client.wait("desktop", ready=True)
            client.wait("web", removed=True)

        The id is resolved once: another resource that gets the name later does not count. A
        restart of the daemon and a lost connection do not end the wait.

        Args:
            id: id of the resource, as in all calls.
            states: wait until it is in one of these states.
            ready: wait until it is ready for work, by its health check or its guest agent.
            has_address: wait until it has an address.
            removed: wait until it is removed.
            timeout: maximum time to wait, in seconds; None for no limit.

        Returns:
            The resource in the SUMMARY view; None if it was to be removed.

        Raises:
            ValueError: not exactly one condition is given.
            proa.WaitTimedOut: the timeout passed.
            proa.FailedPrecondition: the condition cannot hold any more (CONDITION_IMPOSSIBLE).
            proa.NotFound: there is no such resource.
        """
        wanted = waiting.condition(states, ready=ready, has_address=has_address, removed=removed)
        state = waiting.WaitState(
            id, wanted, seconds(timeout), timing=self._timing, clock=self._clock
        )
        return waiting.wait(self.resources, state)

    def list_images(
        self,
        reference: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        dangling: bool | None = None,
        host: str = "",
        page_size: int = 0,
    ) -> Iterator[v1.Image]:
        """Iterate over the images of a host that match `reference`, newest first."""
        request = v1.ListImagesRequest(
            reference=reference, labels=labels, dangling=dangling, host=host, page_size=page_size
        )
        for page in pages(self.images.ListImages, request):
            yield from page.images

    def list_snapshots(self, id: str, *, page_size: int = 0) -> Iterator[v1.Snapshot]:
        """Iterate over the snapshots of a resource, oldest first."""
        request = v1.ListSnapshotsRequest(id=id, page_size=page_size)
        for page in pages(self.snapshots.ListSnapshots, request):
            yield from page.snapshots

    def list_volumes(
        self, pool: str = "", *, host: str = "", page_size: int = 0
    ) -> Iterator[v1.Volume]:
        """Iterate over the volumes of a storage pool, or of all active ones."""
        request = v1.ListVolumesRequest(pool=pool, host=host, page_size=page_size)
        for page in pages(self.volumes.ListVolumes, request):
            yield from page.volumes

    def list_requests(
        self, states: Iterable[v1.RequestState.ValueType] = (), *, page_size: int = 0
    ) -> Iterator[v1.Request]:
        """Iterate over the user's own calls that carried a request id, newest first."""
        request = v1.ListRequestsRequest(states=states, page_size=page_size)
        for page in pages(self.operations.ListRequests, request):
            yield from page.requests

    def list_audit_entries(
        self, filter: v1.AuditFilter | None = None, *, page_size: int = 0
    ) -> Iterator[v1.AuditEntry]:
        """Iterate over entries of the audit log, newest first. Needs the scope `audit`.

        stops = v1.AuditFilter(resource="web", method_name="StopResource")
        for entry in client.list_audit_entries(stops):
            print(entry.time.ToDatetime(), entry.username, entry.reason)
        """
        request = v1.ListEntriesRequest(filter=filter, page_size=page_size)
        for page in pages(self.audit.ListEntries, request):
            yield from page.entries

    def close(self) -> None:
        """Close the channel. Running calls end with Cancelled, watches without an error.

        A call that is made afterwards is a ValueError.
        """
        for stream in list(self._streams):
            stream.close()
        self._check.close()  # after them: a watch that is refused a call knows why
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def seconds(timeout: timedelta | float | None) -> float | None:
    """Return a timeout in seconds, as gRPC takes it."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
