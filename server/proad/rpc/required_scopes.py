"""What each RPC requires, read from the contract itself."""

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.descriptor import ServiceDescriptor
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

# Standard services that anybody may ask: they tell nothing about workloads.
_PUBLIC_SERVICES = (
    *health_pb2.DESCRIPTOR.services_by_name.values(),
    *reflection_pb2.DESCRIPTOR.services_by_name.values(),
)


def required_scopes() -> Mapping[str, "v1.Scope.ValueType"]:
    """Give the scope of every method by its full path; what is missing here is denied."""
    scopes: dict[str, v1.Scope.ValueType] = {
        f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[v1.required_scope]
        for service in SERVICES
        for method in service.methods
    }
    scopes.update(
        (f"/{service.full_name}/{method.name}", v1.SCOPE_PUBLIC)
        for service in _PUBLIC_SERVICES
        for method in service.methods
    )
    return MappingProxyType(scopes)
