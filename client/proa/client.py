"""The synchronous client."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Literal, Self, overload
from weakref import WeakSet

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from proa import tokens, v1, waiting
from proa.channels import TLS, Endpoint, Options
from proa.interceptors import CallInterceptor
from proa.paging import pages
from proa.tokens import Password, ScopeName, TokenSource, source_of
from proa.watch_state import WatchState
from proa.watching import Watch, WatchStream


def connect(
    target: str | None = None,
    *,
    token: str | Callable[[], str] | None = None,
    username: str | None = None,
    password: str | None = None,
    scopes: Iterable[ScopeName] | None = None,
    tls: TLS | bool | None = None,
    timeout: timedelta | float | None = None,
    allow_insecure: bool = False,
    options: Options = (),
) -> "Client":
    """Make a client of the daemon at `target`. Nothing is sent before the first call.

        with proa.connect(username="ann", password=secret) as client:
            for resource in client.list_resources():
                print(resource.name, v1.ResourceState.Name(resource.state))

        client = proa.connect("vm-host:50051", tls=proa.TLS(ca_file="ca.pem"), token=token)
        client = proa.connect("unix:/run/proa/proad.sock", token=lambda: cache.token())

    With a user name and password the client gets its token on the first call, renews
    it shortly before it ends, and once more where the daemon refuses it.

    Args:
        target: "HOST", "HOST:PORT", "unix:PATH" or any other target of gRPC; the port of a
            host is 50051 by default. Default: the variable PROA_TARGET, then 127.0.0.1:50051.
        token: a token, or a function that is asked for one before every call.
        username: the user to get tokens for.
        password: the user's password.
        scopes: what the tokens shall carry, "basic" or "advanced" or both; default:
            all that the user was granted.
        tls: True: with the authorities that gRPC ships with; or a `TLS`.
        timeout: deadline of unary calls that name none, in seconds; default: none.
        allow_insecure: send password and token in the clear over a network.
        options: further options of the channel, over ours.

    Raises:
        ValueError: arguments that do not go together, a target that is none, or
            credentials that would cross a network in the clear.
        OSError: a TLS file cannot be read.
    """
    endpoint = Endpoint.of(target, tls=tls, allow_insecure=allow_insecure)
    source: Password | Callable[[], str] | str | None = source_of(token, username, password, scopes)
    if source is not None:
        endpoint.check_secret("the token or password")
    settings = endpoint.options(options)
    if endpoint.tls is None:
        channel = grpc.insecure_channel(endpoint.target, settings)
    else:
        channel = grpc.secure_channel(endpoint.target, endpoint.tls.credentials(), settings)
    return Client(channel, source, timeout=timeout, check=endpoint.check_call)


class Client:
    """The daemon's services over one channel. Safe to use from several threads.

    Each attribute is the generated stub of a service: an RPC takes its request and
    returns its response, and raises a subclass of `proa.Error` where it fails.

        response = client.resources.GetResource(v1.GetResourceRequest(id="web"))
        for event in client.images.PullImage(v1.PullImageRequest(image="debian:12")):
            print(event.progress.status)

    Args:
        channel: the channel; closed with the client.
        source: where tokens come from; see `connect`.
        timeout: deadline of unary calls that name none, in seconds; None: none.
        check: raises ValueError for a method that must not be called on this channel.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        source: Password | Callable[[], str] | str | None = None,
        *,
        timeout: timedelta | float | None = None,
        check: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._channel = channel
        self._timeout = seconds(timeout)
        calls = CallInterceptor(TokenSource(source, self._login), self._timeout, check)
        ours = grpc.intercept_channel(channel, calls)
        self.auth = v1.AuthServiceStub(ours)
        self.resources = v1.ResourceServiceStub(ours)
        self.containers = v1.ContainerServiceStub(ours)
        self.images = v1.ImageServiceStub(ours)
        self.domains = v1.DomainServiceStub(ours)
        self.snapshots = v1.SnapshotServiceStub(ours)
        self.volumes = v1.VolumeServiceStub(ours)
        self.hosts = v1.HostServiceStub(ours)
        self._streams: WeakSet[WatchStream] = WeakSet()

    def _login(self, request: v1.CreateTokenRequest) -> v1.CreateTokenResponse:
        return self.auth.CreateToken(request, timeout=self._timeout or tokens.LOGIN_TIMEOUT)

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
            filter: which ones; default: all.
            order_by: such as "create_time desc"; default: by name.
            view: how much of each; default SUMMARY.
            read_mask: fields of Resource to fetch; default: all of the view.
            page_size: how many to fetch at once; default: as many as the daemon allows.
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
        """Follow resources for ever, as one unbroken sequence of events.

            for event in client.watch(v1.ResourceFilter(labels={"team": "web"})):
                if isinstance(event, proa.Change):
                    print(v1.ChangeType.Name(event.type), event.resource.name)

        First what there is, then `proa.Synced`, then each change when it happens. A
        daemon that restarts, a broken or silent connection and a token that ends are
        overcome: the watch goes on where it was, or reads everything anew and tells what
        differs. See `proa.events`.

        The call is made when the first event is asked for and ends when the loop is left;
        `close` ends it from another thread, as does closing the client.

        Args:
            filter: which ones; default: all.
            read_mask: fields of Resource to send; default: all of the SUMMARY. "id",
                "kind" and "host" are always sent.
            heartbeat: how long the daemon may be silent, in seconds, from 1 s to 5 min;
                default 15 s. After three times that the connection counts as broken.

        Raises:
            proa.Error: from the loop: the first call failed, for whatever reason; or a
                later one did in a way that another call does not cure, such as a token
                that has expired and cannot be renewed.
        """
        state = WatchState(filter, read_mask, heartbeat)
        stream = WatchStream(self.resources.WatchResources, state.patience)
        self._streams.add(stream)
        return Watch(stream, state)

    @overload
    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        removed: Literal[False] = False,
        timeout: timedelta | float | None = None,
    ) -> v1.Resource: ...

    @overload
    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        removed: bool,
        timeout: timedelta | float | None = None,
    ) -> v1.Resource | None: ...

    def wait(
        self,
        id: str,
        *states: v1.ResourceState.ValueType,
        removed: bool = False,
        timeout: timedelta | float | None = None,
    ) -> v1.Resource | None:
        """Wait until a resource is in one of `states`; at once if it is.

            client.wait("web", v1.RESOURCE_STATE_RUNNING, timeout=60)
            client.wait("web", removed=True)

        It is that very resource: another one that gets its name later does not count.

        Args:
            id: which one, as in all calls.
            states: the states.
            removed: whether its removal will do as well.
            timeout: the longest to wait, in seconds; None: for ever.

        Returns:
            The resource in the SUMMARY view, a removed one as it last was. None: there
            was none, which is what `removed` asks for.

        Raises:
            ValueError: nothing to wait for.
            proa.WaitTimedOut: it did not come in time.
            proa.NotFound: there is no such resource, or no more.
        """
        goal = waiting.Goal(id, states, removed, seconds(timeout))
        return waiting.wait(self.resources, self.watch, goal)

    def list_images(
        self,
        reference: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        dangling: bool | None = None,
        host: str = "",
        page_size: int = 0,
    ) -> Iterator[v1.Image]:
        """Iterate over the images of a host whose name is like `reference`, newest first."""
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

    def close(self) -> None:
        """Close the channel; calls under way end as cancelled, watches just end."""
        for stream in list(self._streams):
            stream.close()
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
    """A timeout as gRPC wants it."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
