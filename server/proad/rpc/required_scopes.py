"""What each RPC requires, read from the contract itself."""

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from proa import v1
from proa.v1 import (
    auth_service_pb2,
    container_service_pb2,
    domain_service_pb2,
    host_service_pb2,
    image_service_pb2,
    resource_service_pb2,
    snapshot_service_pb2,
    volume_service_pb2,
)

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service
    for file in (
        auth_service_pb2,
        container_service_pb2,
        domain_service_pb2,
        host_service_pb2,
        image_service_pb2,
        resource_service_pb2,
        snapshot_service_pb2,
        volume_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
"""The services of the contract."""

STANDARD_METHODS = frozenset(
    f"/{service.full_name}/{method.name}"
    for file in (health_pb2, reflection_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)
"""Methods of standard services, which anybody may ask: they tell nothing about workloads."""


def required_scopes() -> Mapping[str, "v1.Scope.ValueType"]:
    """Give the scope of every method of the contract by its full path."""
    scopes: dict[str, v1.Scope.ValueType] = {
        f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[v1.required_scope]
        for service in SERVICES
        for method in service.methods
    }
    return MappingProxyType(scopes)


def endless_streams() -> frozenset[str]:
    """Give the full paths of the streams that only tell, and never end by themselves."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for service in SERVICES
        for method in service.methods
        if method.server_streaming
        and method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    )
