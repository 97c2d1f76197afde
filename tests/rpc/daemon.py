"""A daemon in this process, spoken to over a real channel."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import proa.v1
from eventually import eventually
from proa import v1
from proa.aio.both_ways import FirstStatus
from proad import app
from proad.audit import AuditLog, LogWriter
from proad.auth.keys import KeyRing
from proad.auth.tokens import Tokens
from proad.composition import authentication
from proad.config import Settings
from proad.model.scope import Scope
from proad.rpc.call_auditor import CallAuditor
from proad.state import daemon_id
from proad.store.audit import AuditStore
from proad.store.database import Database
from proad.store.requests import RequestStore
from proad.store.users import UserStore

BOTH = (Scope.BASIC, Scope.ADVANCED)
ALL = tuple(Scope)
IMAGE = "proa-test/busybox:1"
MEMORY_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Rpc:
    """A method of the contract, as its descriptor has it."""

    path: str
    name: str
    streams: bool
    takes_stream: bool
    access: v1.MethodAccess
    max_request_bytes: int
    request: type
    response: type


def changing(kind, **values):
    """Return the fields of an UpdateResourceRequest that changes these values."""
    return {kind: values, "update_mask": {"paths": [*values]}}


def contract_files():
    """Return the descriptors of all generated files, including unserved ones."""
    for module in iter_modules(proa.v1.__path__):
        if module.name.endswith("_pb2"):
            yield import_module(f"proa.v1.{module.name}").DESCRIPTOR


def rpcs():
    for file in contract_files():
        for service in file.services_by_name.values():
            for method in service.methods:
                yield Rpc(
                    path=f"/{service.full_name}/{method.name}",
                    name=method.name,
                    streams=method.server_streaming,
                    takes_stream=method.client_streaming,
                    access=method.GetOptions().Extensions[v1.access],
                    max_request_bytes=method.GetOptions().Extensions[v1.max_request_bytes],
                    request=GetMessageClass(method.input_type),
                    response=GetMessageClass(method.output_type),
                )


RPCS = {rpc.name: rpc for rpc in rpcs()}


@dataclass(frozen=True)
class Refusal:
    """A failed call, with its google.rpc details unpacked."""

    code: str
    message: str
    details: dict[str, Any]

    @classmethod
    def of(cls, error):
        status = rpc_status.from_call(error)
        if status is None:  # not from the interceptor: grpc's own
            return cls(error.code().name, error.details(), {})
        details = {}
        for packed in status.details:
            detail = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])()
            assert packed.Unpack(detail)
            details[type(detail).__name__] = detail
        return cls(error.code().name, status.message, details)

    @property
    def reason(self):
        return self.details["ErrorInfo"].reason if "ErrorInfo" in self.details else None

    @property
    def domain(self):
        return self.details["ErrorInfo"].domain

    @property
    def metadata(self):
        return dict(self.details["ErrorInfo"].metadata)

    @property
    def fields(self):
        """Return the paths of the invalid fields."""
        bad = self.details.get("BadRequest")
        return [violation.field for violation in bad.field_violations] if bad else []

    @property
    def retry_after(self):
        retry = self.details.get("RetryInfo")
        return retry.retry_delay.ToTimedelta().total_seconds() if retry else None


async def refusal(call):
    """Return the refusal of a call that must fail."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return Refusal.of(error)
    raise AssertionError(f"the call did not fail, it answered {answer!r}")


class StreamCall:
    """A call with a stream of requests, whose status is the daemon's; see `FirstStatus`."""

    def __init__(self, call):
        self._call = call
        self._first = FirstStatus(call)

    def __getattr__(self, name):
        return getattr(self._call, name)

    async def read(self):
        """Return the next response, or gRPC's mark of the end."""
        try:
            return await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise self._first.restored(error) from None


@dataclass
class Daemon:
    """A daemon that serves, and a channel to it."""

    address: str
    channel: grpc.aio.Channel
    drivers: dict[str, Any]
    settings: Settings
    keys: KeyRing
    tokens: Tokens
    users: UserStore
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def driver(self):
        """Return the only driver, or the first one."""
        return next(iter(self.drivers.values()))

    def token(self, *scopes, username="ann"):
        return self.tokens.issue(username, scopes, self.versions[username]).token

    def send(self, rpc, request, *, token=None, metadata=(), timeout=20, channel=None):
        """Begin a call; `request` is a message, or bytes that are sent as they are.

        A method that takes a stream of requests gets this one, or those of an async iterator.
        """
        metadata = [*metadata, *([("authorization", f"Bearer {token}")] if token else [])]
        channel = channel or self.channel
        ways = {(False, False): channel.unary_unary, (False, True): channel.unary_stream}
        method = ways.get((rpc.takes_stream, rpc.streams), channel.stream_stream)(
            rpc.path,
            request_serializer=lambda r: r if isinstance(r, bytes) else r.SerializeToString(),
            response_deserializer=rpc.response.FromString,
        )
        if not rpc.takes_stream:
            return method(request, metadata=metadata, timeout=timeout)
        if not hasattr(request, "__aiter__"):
            request = iter([request])
        return StreamCall(method(request, metadata=metadata, timeout=timeout))

    def call(self, name, /, *, metadata=(), timeout=20, **fields):
        """Begin a call as a user with both scopes."""
        rpc = RPCS[name]
        token = self.token(*BOTH)
        return self.send(
            rpc, rpc.request(**fields), token=token, metadata=metadata, timeout=timeout
        )

    async def container(self, name="", *, start=True, host="", **spec):
        """Create a container and return it."""
        spec = {"image": IMAGE, "name": name, **spec}
        return (await self.call("CreateContainer", spec=spec, start=start, host=host)).resource

    async def domain(self, name, *, start=True, host="", **spec):
        """Create a domain and return it."""
        spec = {"name": name, "memory_bytes": MEMORY_BYTES, **spec}
        return (await self.call("CreateDomain", spec=spec, start=start, host=host)).resource

    async def names(self, **request):
        """Return the names in ListResources, in its order."""
        answer = await self.call("ListResources", **request)
        return [resource.name for resource in answer.resources]

    async def under_way(self, id):
        """Wait until the verb under way on a resource waits for its guest."""

        async def waits():
            return (await self.call("GetResource", id=id)).resource.activity.step

        await eventually(waits)

    async def state(self, id):
        """Return the state of a resource, without its prefix."""
        resource = (await self.call("GetResource", id=id)).resource
        return v1.ResourceState.Name(resource.state).removeprefix("RESOURCE_STATE_")


@asynccontextmanager
async def authenticating(settings):
    """Yield an Authenticator as a daemon has it."""
    async with (
        Database.open(settings.database_url.get_secret_value()) as database,
        authentication.authenticating(
            settings, database, KeyRing.open(settings.keys_dir)
        ) as authenticator,
    ):
        yield authenticator


@asynccontextmanager
async def auditing(settings):
    """Yield what writes calls to an audit log, which is open."""
    keys, daemon = KeyRing.open(settings.keys_dir), daemon_id(settings.state_dir)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        writer = LogWriter(settings.audit_dir, keys.derived("audit log"), daemon)
        log = AuditLog(writer, AuditStore(database, daemon), settings.audit_dir)
        auditor = CallAuditor(log, RequestStore(database, daemon))
        async with log.opened(auditor.known):
            yield auditor


@asynccontextmanager
async def running(settings, drivers, **parts):
    """Serve `drivers` and yield a Daemon; `parts` are further arguments of `app.serving`."""
    async with (
        Database.open(settings.database_url.get_secret_value()) as database,
        app.serving(settings, database, drivers, **parts) as addresses,
        grpc.aio.insecure_channel(addresses[0]) as channel,
    ):
        keys = KeyRing.open(settings.keys_dir)
        tokens = Tokens(
            keys,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            lifetime=settings.token_lifetime,
        )
        users = UserStore(database)
        versions = {user.name: user.token_version for user in await users.list()}
        named = {f"{host}/{driver.name}": driver for host, driver in drivers}
        yield Daemon(addresses[0], channel, named, settings, keys, tokens, users, versions)
