"""Stubs of gRPC's own services: the typed stubs of their packages lack the methods."""

from typing import Any

from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc


def health(channel: Any) -> Any:
    """Return the stub of grpc.health.v1.Health on a channel of grpc or grpc.aio."""
    return health_pb2_grpc.HealthStub(channel)


def reflection(channel: Any) -> Any:
    """Return the stub of grpc.reflection.v1alpha.ServerReflection on a channel."""
    return reflection_pb2_grpc.ServerReflectionStub(channel)
