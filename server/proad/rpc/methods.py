"""The options of the RPCs in the contract: access, size of the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from proa import v1
from proad.model.scope import Scope


def _services_of(*files: Any) -> tuple[ServiceDescriptor, ...]:
    """Return the services that generated files define."""
    return tuple(service for file in files for service in file.DESCRIPTOR.services_by_name.values())


SERVICES = _services_of(
    *(
        import_module(f"{v1.__name__}.{module.name}")
        for module in iter_modules(v1.__path__)
        if module.name.endswith("_service_pb2")
    )
)
"""The services of the contract."""

_STANDARD_SERVICES = _services_of(health_pb2, reflection_pb2)

# The services of what goes on inside resources.
_INSIDE = frozenset({"ConsoleService", "FileService"})

# Health and reflection have none of our options.
_STANDARD_REQUEST_BYTES = 4096


SCOPES: Mapping["v1.Scope.ValueType", Scope] = {
    v1.SCOPE_BASIC: Scope.BASIC,
    v1.SCOPE_ADVANCED: Scope.ADVANCED,
    v1.SCOPE_AUDIT: Scope.AUDIT,
}
"""The scopes by their numbers in the contract."""


@dataclass(frozen=True, slots=True)
class MethodAccess:
    """The requirements on the caller of an RPC. Without any, nobody may call it.

    Attributes:
        public: no token is needed.
        authenticated: any valid token.
        scopes: a token with all these scopes.
    """

    public: bool = False
    authenticated: bool = False
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC.

    Attributes:
        path: the full path, "/proa.v1.ResourceService/GetResource".
        request: the request message.
        response: the response message.
        access: the requirements on the caller.
        max_request_bytes: the largest request message, decompressed.
        changes: whether a call may change something.
        journalled: whether a request may have an id, by which its repetitions are known.
        always_journalled: whether a request without an id gets one.
        endless: a stream that changes nothing and never ends by itself.
        takes_stream: takes a stream of requests, whose first one says what is wanted.
        waits: a read that waits for as long as its caller says; ends with the token, too.
        is_inside: works inside a resource, for as long as that takes: ends with the user.
        streams: answers with a stream of responses.
        standard: a method of health or reflection, which reveal nothing about workloads.
        reflection: a method of reflection.
    """

    path: str
    request: type[Message] = Empty
    response: type[Message] = Empty
    access: MethodAccess = MethodAccess()
    max_request_bytes: int = 0
    changes: bool = False
    journalled: bool = False
    always_journalled: bool = False
    endless: bool = False
    takes_stream: bool = False
    waits: bool = False
    is_inside: bool = False
    streams: bool = False
    standard: bool = False
    reflection: bool = False


def methods() -> Mapping[str, Method]:
    """Return all methods that are served, by their full paths."""
    found = [
        *(_ours(service, method) for service in SERVICES for method in service.methods),
        *(_standard(service, m) for service in _STANDARD_SERVICES for m in service.methods),
    ]
    return MappingProxyType({method.path: method for method in found})


def largest_request() -> int:
    """Return the bytes of the largest request that any method takes."""
    return max(method.max_request_bytes for method in methods().values())


def _ours(service: ServiceDescriptor, method: Any) -> Method:
    options = method.GetOptions()
    reads = options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    return Method(
        f"/{service.full_name}/{method.name}",
        request=GetMessageClass(method.input_type),
        response=GetMessageClass(method.output_type),
        access=_access(options.Extensions[v1.access]),
        max_request_bytes=options.Extensions[v1.max_request_bytes],
        changes=not reads,
        journalled=not reads and options.Extensions[v1.journal] != v1.JOURNAL_NONE,
        always_journalled=options.Extensions[v1.journal] == v1.JOURNAL_ALWAYS,
        endless=method.server_streaming and reads,
        takes_stream=method.client_streaming,
        waits=reads and "timeout" in method.input_type.fields_by_name,
        is_inside=service.name in _INSIDE,
        streams=method.server_streaming,
    )


def _access(option: v1.MethodAccess) -> MethodAccess:
    """Return the requirements of an option; none for an option with an unknown scope."""
    if not all(number in SCOPES for number in option.scopes):
        return MethodAccess()
    return MethodAccess(
        public=option.public,
        authenticated=option.authenticated,
        scopes=tuple(SCOPES[number] for number in option.scopes),
    )


def _standard(service: ServiceDescriptor, method: Any) -> Method:
    return Method(
        f"/{service.full_name}/{method.name}",
        request=GetMessageClass(method.input_type),
        access=MethodAccess(public=True),
        max_request_bytes=_STANDARD_REQUEST_BYTES,
        endless=method.server_streaming,
        standard=True,
        reflection=service.file.name == reflection_pb2.DESCRIPTOR.name,
    )
