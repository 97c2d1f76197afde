"""The servicers of the contract, and their registration with a server."""

from dataclasses import dataclass
from typing import Any

from proa.v1 import (
    audit_service_pb2_grpc,
    auth_service_pb2_grpc,
    console_service_pb2_grpc,
    container_service_pb2_grpc,
    domain_service_pb2_grpc,
    file_service_pb2_grpc,
    host_service_pb2_grpc,
    image_service_pb2_grpc,
    operation_service_pb2_grpc,
    resource_service_pb2_grpc,
    server_service_pb2_grpc,
    snapshot_service_pb2_grpc,
    volume_service_pb2_grpc,
)
from proad.rpc.audit_service import AuditService
from proad.rpc.auth_service import AuthService
from proad.rpc.console_service import ConsoleService
from proad.rpc.container_service import ContainerService
from proad.rpc.domain_service import DomainService
from proad.rpc.file_service import FileService
from proad.rpc.host_service import HostService
from proad.rpc.image_service import ImageService
from proad.rpc.operation_service import OperationService
from proad.rpc.resource_service import ResourceService
from proad.rpc.server_service import ServerService
from proad.rpc.snapshot_service import SnapshotService
from proad.rpc.volume_service import VolumeService


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicers:
    """One servicer for each service of the contract."""

    auth: AuthService
    resources: ResourceService
    containers: ContainerService
    images: ImageService
    domains: DomainService
    snapshots: SnapshotService
    volumes: VolumeService
    hosts: HostService
    operations: OperationService
    audit: AuditService
    server: ServerService
    console: ConsoleService
    files: FileService

    def register(self, registry: Any) -> None:
        """Register all with a server, or with what stands in for one."""
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(self.auth, registry)
        resource_service_pb2_grpc.add_ResourceServiceServicer_to_server(self.resources, registry)
        container_service_pb2_grpc.add_ContainerServiceServicer_to_server(self.containers, registry)
        image_service_pb2_grpc.add_ImageServiceServicer_to_server(self.images, registry)
        domain_service_pb2_grpc.add_DomainServiceServicer_to_server(self.domains, registry)
        snapshot_service_pb2_grpc.add_SnapshotServiceServicer_to_server(self.snapshots, registry)
        volume_service_pb2_grpc.add_VolumeServiceServicer_to_server(self.volumes, registry)
        host_service_pb2_grpc.add_HostServiceServicer_to_server(self.hosts, registry)
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(self.server, registry)
        operation_service_pb2_grpc.add_OperationServiceServicer_to_server(self.operations, registry)
        console_service_pb2_grpc.add_ConsoleServiceServicer_to_server(self.console, registry)
        file_service_pb2_grpc.add_FileServiceServicer_to_server(self.files, registry)
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(self.audit, registry)
