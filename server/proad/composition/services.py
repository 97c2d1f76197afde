"""The contract over the core: the server and its services."""

from datetime import UTC, datetime
from importlib.metadata import version

from proad.audit import AuditLog
from proad.auth.keys import KeyRing
from proad.auth.service import Authenticator
from proad.composition.core import Core
from proad.config import Settings
from proad.core.command_operations import CommandOperations
from proad.core.console_operations import ConsoleOperations
from proad.core.container_pruner import ContainerPruner
from proad.core.entrance import Entrance
from proad.core.file_operations import FileOperations
from proad.core.image_operations import ImageOperations
from proad.core.inventory import Inventory
from proad.core.lifecycle import Lifecycle
from proad.core.listing import ResourceLister
from proad.core.log_operations import LogOperations
from proad.core.port_operations import PortOperations
from proad.core.recreation import Recreator
from proad.core.registry_logins import RegistryLogins
from proad.core.requests import RETENTION, RequestJournal
from proad.core.snapshot_operations import SnapshotOperations
from proad.core.stats_service import StatsService
from proad.core.view_supplements import ViewSupplements
from proad.core.volume_operations import VolumeOperations
from proad.core.wait_service import WaitService
from proad.core.watch_service import WatchService
from proad.model import ServerInfo, ServerLimits
from proad.rpc.access_log import AccessLog
from proad.rpc.audit_service import AuditService
from proad.rpc.auth_service import AuthService
from proad.rpc.call_auditor import CallAuditor
from proad.rpc.console_service import ConsoleService
from proad.rpc.container_service import ContainerService
from proad.rpc.domain_service import DomainService
from proad.rpc.file_service import FileService
from proad.rpc.health import Health
from proad.rpc.host_service import HostService
from proad.rpc.image_service import ImageService
from proad.rpc.interceptor import CallInterceptor
from proad.rpc.local_login import LocalLogin
from proad.rpc.methods import largest_request, methods
from proad.rpc.operation_service import OperationService
from proad.rpc.paging import MOST, Paginator
from proad.rpc.redaction import Redactor
from proad.rpc.request_ids import RequestIds
from proad.rpc.resource_service import ResourceService
from proad.rpc.server import RpcServer, service_names
from proad.rpc.server_service import ServerService
from proad.rpc.servicers import Servicers
from proad.rpc.signing import Signer
from proad.rpc.snapshot_service import SnapshotService
from proad.rpc.timing import RpcTiming
from proad.rpc.user_limiter import UserLimiter
from proad.rpc.volume_service import VolumeService
from proad.timing import DaemonTiming


def compose_server(
    settings: Settings,
    core: Core,
    *,
    authenticator: Authenticator,
    keys: KeyRing,
    journal: RequestJournal,
    audit: AuditLog,
    auditor: CallAuditor,
    users: UserLimiter,
    timing: DaemonTiming,
) -> RpcServer:
    """Compose the server with all services of the contract."""
    hosts, inventory, resolver, verbs = core.hosts, core.inventory, core.resolver, core.verbs
    gate, quotas, tenancy, ledger = core.gate, core.quotas, core.tenancy, core.ledger
    tasks, slicer = core.tasks, core.slicer
    entrance = Entrance(resolver, inventory, gate)
    redactor = Redactor(settings.secret_patterns)
    signer = Signer(keys.derived("page and resume tokens"))
    paginator = Paginator(signer)
    entrance = Entrance(resolver, inventory, gate)
    return RpcServer(
        interceptor=CallInterceptor(
            authenticator,
            methods(),
            RequestIds(journal, keys.derived("digests of requests")),
            gate,
            redactor,
            auditor,
            timing.rpc,
            user_limiter=users,
            public_reflection=settings.public_reflection,
        ),
        health=Health(hosts, service_names()),
        servicers=Servicers(
            auth=AuthService(authenticator, core.owners, quotas, users),
            resources=ResourceService(
                ResourceLister(hosts, inventory, slicer),
                Lifecycle(resolver, verbs, inventory, gate, quotas, ViewSupplements(slicer)),
                WatchService(hosts, inventory),
                StatsService(hosts, resolver, inventory, timing.stats),
                WaitService(resolver, inventory, slicer, timing.waits),
                paginator,
                signer,
                slicer,
                redactor,
            ),
            containers=ContainerService(
                core.provisioning,
                Recreator(resolver, verbs, inventory, gate, tenancy, quotas, ledger),
                ContainerPruner(hosts, verbs, tasks, inventory, slicer),
            ),
            images=ImageService(
                ImageOperations(hosts, tasks, inventory, gate, RegistryLogins(), ledger), paginator
            ),
            domains=DomainService(core.provisioning),
            snapshots=SnapshotService(
                SnapshotOperations(resolver, verbs, inventory, gate, quotas), paginator
            ),
            volumes=VolumeService(
                VolumeOperations(hosts, tasks, inventory, gate, tenancy, quotas), paginator
            ),
            operations=OperationService(journal, paginator),
            audit=AuditService(audit, paginator, methods()),
            hosts=HostService(hosts, paginator),
            files=FileService(FileOperations(entrance), paginator, users, timing.rpc),
            console=ConsoleService(
                CommandOperations(entrance),
                ConsoleOperations(entrance),
                PortOperations(entrance),
                LogOperations(entrance, slicer),
                users,
                timing.rpc,
            ),
            server=ServerService(_server_info(settings, inventory)),
        ),
        max_message_bytes=settings.grpc_max_message_bytes,
        max_concurrent_streams=settings.grpc_max_concurrent_streams,
        timing=timing.rpc,
    )


def compose_local_login(
    authenticator: Authenticator, auditor: CallAuditor, users: UserLimiter, timing: RpcTiming
) -> LocalLogin:
    """Compose what answers on the login socket."""
    access_log = AccessLog(authenticator.client_address, timing)
    return LocalLogin(authenticator.local_users, auditor, access_log, users)


def _server_info(settings: Settings, inventory: Inventory) -> ServerInfo:
    return ServerInfo(
        version=version("proa"),
        epoch=inventory.epoch,
        start_time=datetime.now(UTC),
        limits=ServerLimits(
            max_page_size=MOST,
            max_request_bytes=largest_request(),
            token_lifetime=settings.token_lifetime,
            request_retention=RETENTION,
        ),
    )
