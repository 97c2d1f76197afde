"""A wire of grpcio-testing, and a small daemon of a handful of RPCs on real channels."""
# ruff: noqa: N802 - the methods of a servicer have the names of the RPCs

import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import grpc
import grpc_testing
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from proa import contract, v1
from proa.v1 import (
    auth_service_pb2_grpc,
    host_service_pb2_grpc,
    image_service_pb2_grpc,
    resource_service_pb2_grpc,
)
from unit.client.watch_server import WatchServer


def make_status(code, reason, message="what happened", *details, domain="proa.dev", **metadata):
    """The status that a proad would send."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in (info, *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return rpc_status.to_status(status)


class FailedCall(grpc.RpcError):
    """grpcio-testing's failed call lacks `result`, which gRPC's interceptors need."""

    def __init__(self, call):
        self._call = call

    def __getattr__(self, name):
        return getattr(self._call, name)

    def result(self, timeout=None):
        raise self


class WireChannel:
    """grpcio-testing's channel without the arguments that it does not know."""

    def __init__(self, channel):
        self._channel = channel
        self.close = lambda: None

    def unary_unary(self, method, *serializers, _registered_method=False):
        inner = self._channel.unary_unary(method)

        class Callable:
            def __call__(self, request, **settings):
                return self.with_call(request, **settings)[0]

            def with_call(self, request, *, wait_for_ready, compression, **settings):
                try:
                    return inner.with_call(request, **settings)
                except grpc.RpcError as error:
                    raise FailedCall(error) from error

            def future(self, request, *, wait_for_ready, compression, **settings):
                return inner.future(request, **settings)

        return Callable()

    def unary_stream(self, method, *serializers, _registered_method=False):
        inner = self._channel.unary_stream(method)

        def call(request, *, wait_for_ready, compression, **settings):
            return inner(request, **settings)

        return call


class Wire:
    """The other end of a client's calls, played by the test itself."""

    def __init__(self):
        self._services = {m.containing_service.name: m for m in contract.methods()}
        services = [method.containing_service for method in self._services.values()]
        self._testing = grpc_testing.channel(services, grpc_testing.strict_real_time())
        self._pool = ThreadPoolExecutor()
        self.channel = WireChannel(self._testing)

    def start(self, call, *args, **kwargs):
        """Begin a call on the client's side."""
        return self._pool.submit(call, *args, **kwargs)

    def take(self, name):
        """The next call of an RPC: its metadata, its request and its server side."""
        service, _, method = name.partition("/")
        descriptor = self._services[service].containing_service.methods_by_name[method]
        if descriptor.server_streaming:
            metadata, request, rpc = self._testing.take_unary_stream(descriptor)
        else:
            metadata, request, rpc = self._testing.take_unary_unary(descriptor)
        return dict(metadata), request, rpc

    def answer(self, name, response):
        metadata, request, rpc = self.take(name)
        rpc.send_initial_metadata(())
        rpc.terminate(response, (), grpc.StatusCode.OK, "")
        return metadata, request

    def fail(self, name, code, reason, *details, **metadata):
        given, _, rpc = self.take(name)
        status = make_status(code, reason, "what happened", *details, **metadata)
        rpc.send_initial_metadata(())
        ending = (status.trailing_metadata, code, "what happened")
        method = name.partition("/")[2]
        rpc.terminate(*(ending if method == "PullImage" else (None, *ending)))
        return given

    def close(self):
        self._pool.shutdown()


@pytest.fixture
def wire():
    wire = Wire()
    yield wire
    wire.close()


def abort(context, status):
    # A synchronous servicer on a grpc.aio server has no abort_with_status.
    context.set_trailing_metadata(status.trailing_metadata)
    context.abort(status.code, status.details)


class SmallDaemon(
    auth_service_pb2_grpc.AuthServiceServicer,
    resource_service_pb2_grpc.ResourceServiceServicer,
    image_service_pb2_grpc.ImageServiceServicer,
    host_service_pb2_grpc.HostServiceServicer,
):
    """Enough of a daemon to log in to, list, stream and fail."""

    def __init__(self):
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.valid = set()
        self.password = "correct horse"
        self.token_lifetime = timedelta(minutes=30)
        self.refresh_token = ""  # empty: logins give none
        self.resources = [v1.Resource(id=str(n), name=f"r{n}") for n in range(5)]
        self.failures = []  # statuses for the next calls, of any RPC with a token
        self.admitted = threading.Event()  # cleared: calls with a token wait
        self.admitted.set()
        self.stream_failure = None
        self.unreachable = []
        self.hosts = v1.GetHostResponse(host=v1.Host(hostname="small"))
        self.watch_server = WatchServer()
        self.samples = []

    def _refusal(self, name, context):
        with self.lock:
            self.calls[name] += 1
            if self.failures:
                return self.failures.pop(0)
        sent = dict(context.invocation_metadata()).get("authorization", "")
        if sent.removeprefix("Bearer ") in self.valid:
            return None
        return make_status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", "it has expired")

    def _begin(self, name, context):
        self.admitted.wait()
        refusal = self._refusal(name, context)
        if refusal is not None:
            abort(context, refusal)

    def CreateToken(self, request, context):
        with self.lock:
            self.calls["CreateToken"] += 1
            number = self.calls["CreateToken"]
        if request.password != self.password:
            abort(context, make_status(grpc.StatusCode.UNAUTHENTICATED, "BAD_CREDENTIALS", "no"))
        token = f"token-{number}"
        self.valid.add(token)
        response = v1.CreateTokenResponse(
            token=token, scopes=request.scopes, refresh_token=self.refresh_token
        )
        response.expire_time.FromDatetime(datetime.now(UTC) + self.token_lifetime)
        return response

    def RefreshToken(self, request, context):
        with self.lock:
            self.calls["RefreshToken"] += 1
            number = self.calls["RefreshToken"]
        if request.refresh_token != self.refresh_token:
            abort(context, make_status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED", "no"))
        token, self.refresh_token = f"refreshed-{number}", f"refresh-{number}"
        self.valid.add(token)
        response = v1.RefreshTokenResponse(token=token, refresh_token=self.refresh_token)
        response.expire_time.FromDatetime(datetime.now(UTC) + self.token_lifetime)
        return response

    def GetHost(self, request, context):
        self._begin("GetHost", context)
        return self.hosts

    def StartResource(self, request, context):
        self._begin("StartResource", context)
        return v1.StartResourceResponse(resource=v1.Resource(id=request.id))

    def GetResource(self, request, context):
        self._begin("GetResource", context)
        found = [r for r in self.resources if r.name == request.id]
        if not found:
            status = make_status(
                grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", resource=request.id
            )
            abort(context, status)
        return v1.GetResourceResponse(resource=found[0])

    def ListResources(self, request, context):
        self._begin("ListResources", context)
        size = request.page_size or 2
        first = int(request.page_token or 0)
        more = first + size < len(self.resources)
        return v1.ListResourcesResponse(
            resources=self.resources[first : first + size],
            next_page_token=str(first + size) if more else "",
            unreachable=self.unreachable if request.return_partial_success else (),
        )

    def WatchResources(self, request, context):
        self._begin("WatchResources", context)
        compacted = make_status(grpc.StatusCode.OUT_OF_RANGE, "REVISION_COMPACTED", "too long ago")
        yield from self.watch_server.serve(
            request, context, lambda status: abort(context, status), compacted
        )

    def StreamStats(self, request, context):
        self._begin("StreamStats", context)
        for stats in self.samples:
            lacks = [one for one in stats if isinstance(one, v1.MissingSample)]
            yield v1.StreamStatsResponse(
                stats=[one for one in stats if one not in lacks], missing=lacks
            )

    def PullImage(self, request, context):
        self._begin("PullImage", context)
        yield v1.PullImageResponse(progress=v1.PullProgress(status="Downloading"))
        if self.stream_failure is not None:
            abort(context, self.stream_failure)
        yield v1.PullImageResponse(image=v1.Image(id="sha256:1"))


class AioDaemon(SmallDaemon):
    """The same with a stream as a coroutine: a generator of a thread cannot abort there."""

    async def PullImage(self, request, context):
        refusal = self._refusal("PullImage", context)
        if refusal is not None:
            await context.abort_with_status(refusal)
        yield v1.PullImageResponse(progress=v1.PullProgress(status="Downloading"))
        if self.stream_failure is not None:
            await context.abort_with_status(self.stream_failure)
        yield v1.PullImageResponse(image=v1.Image(id="sha256:1"))


def register(daemon, server):
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(daemon, server)
    resource_service_pb2_grpc.add_ResourceServiceServicer_to_server(daemon, server)
    image_service_pb2_grpc.add_ImageServiceServicer_to_server(daemon, server)
    host_service_pb2_grpc.add_HostServiceServicer_to_server(daemon, server)


@pytest.fixture
def small_daemon():
    return SmallDaemon()  # type: ignore[abstract] # the other RPCs stay unimplemented


@pytest.fixture
def serve(small_daemon):
    """A context manager that serves the small daemon and gives its target."""

    @contextmanager
    def serving(address="127.0.0.1:0", credentials=None):
        server = grpc.server(ThreadPoolExecutor(), options=[("grpc.so_reuseport", 0)])
        register(small_daemon, server)
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
        server.start()
        try:
            yield address if address.startswith("unix:") else f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()

    return serving


@pytest.fixture
def aio_daemon():
    return AioDaemon()  # type: ignore[abstract] # the other RPCs stay unimplemented


@pytest.fixture
async def aio_target(aio_daemon):
    """The small daemon on a grpc.aio server in the test's own event loop."""
    pool = ThreadPoolExecutor()
    server = grpc.aio.server(pool)
    register(aio_daemon, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)
    pool.shutdown()


@pytest.fixture
def status():
    return make_status


@pytest.fixture
def silent_target():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"
