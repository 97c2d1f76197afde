"""The composition root: every component is made, given what it needs, and closed here."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import structlog

from proad.audit import AuditLog, AuditOptions, AuditTiming, LogWriter, Sync
from proad.auth.keys import KeyRing
from proad.composition.authentication import authenticating
from proad.config import AuditSync, Settings
from proad.config.protected_paths import protected_paths
from proad.control import Control
from proad.core.container_pruner import ContainerPruner
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.handover import Handover
from proad.core.hosts import Hosts
from proad.core.image_ledger import ImageLedger
from proad.core.image_operations import ImageOperations
from proad.core.inventory import HISTORY_SIZE, ChangeHistory, Inventory, RecordCache, Store
from proad.core.lifecycle import Lifecycle
from proad.core.listing import ResourceLister
from proad.core.local_records import (
    LocalImageRecords,
    LocalResourceRecords,
    LocalVolumeOwners,
)
from proad.core.provisioning import Provisioning
from proad.core.quotas import Quotas
from proad.core.recovery import RequestJudge
from proad.core.recreation import Recreator
from proad.core.registry_logins import RegistryLogins
from proad.core.removals import Removals
from proad.core.requests import MOST_REQUESTS, RETENTION, Checkpoint, RequestJournal, passed
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.slices import TimeSlicer
from proad.core.snapshot_operations import SnapshotOperations
from proad.core.stats_service import StatsService
from proad.core.surroundings import SurroundingsReader
from proad.core.verb_runner import VerbRunner
from proad.core.volume_operations import VolumeOperations
from proad.core.volume_tenancy import VolumeTenancy
from proad.core.wait_service import WaitService
from proad.core.watch_service import WatchService
from proad.model import ServerInfo, ServerLimits
from proad.ports import Driver
from proad.ports.records import ImageRecords, ResourceRecords, VolumeOwners
from proad.reload import ReloadableSettings, Reloader
from proad.rpc.answers import ProtoAnswerCodec
from proad.rpc.audit_service import AuditService
from proad.rpc.auth_service import AuthService
from proad.rpc.call_auditor import CallAuditor
from proad.rpc.container_service import ContainerService
from proad.rpc.domain_service import DomainService
from proad.rpc.health import Health
from proad.rpc.host_service import HostService
from proad.rpc.image_service import ImageService
from proad.rpc.interceptor import CallInterceptor
from proad.rpc.methods import largest_request, methods
from proad.rpc.operation_service import OperationService
from proad.rpc.paging import MOST, Paginator
from proad.rpc.redaction import Redactor
from proad.rpc.request_ids import RequestIds
from proad.rpc.resource_service import ResourceService
from proad.rpc.server import RpcServer, service_names
from proad.rpc.server_service import ServerService
from proad.rpc.signing import Signer
from proad.rpc.snapshot_service import SnapshotService
from proad.rpc.tls_credentials import TlsCredentials
from proad.rpc.user_limiter import UserLimiter, UserLimits
from proad.rpc.volume_service import VolumeService
from proad.sockets import SocketAccess
from proad.state import daemon_id
from proad.store.audit import AuditStore
from proad.store.database import Database
from proad.store.owners import OwnerStore
from proad.store.requests import RequestStore
from proad.timing import DaemonTiming
from proad.tls import read_tls

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serving(
    settings: Settings,
    database: Database,
    drivers: Sequence[tuple[str, Driver]],
    timing: DaemonTiming = DaemonTiming(),
    history_size: int = HISTORY_SIZE,
    most_requests: int = MOST_REQUESTS,
    checkpoint: Checkpoint = passed,
    *,
    records: ResourceRecords | None = None,
    image_records: ImageRecords | None = None,
    reloader: Reloader | None = None,
    control: Control | None = None,
    volume_owners: VolumeOwners | None = None,
    sync: Sync = os.fdatasync,
) -> AsyncIterator[list[str]]:
    """Serve drivers and yield the addresses that are bound.

    Args:
        settings: all settings.
        database: the daemon's database.
        drivers: the name of a host connection and a driver on it, each.
        timing: durations.
        history_size: number of changes that a watch can be resumed before.
        most_requests: requests with an id that are remembered of one user.
        checkpoint: called at each point of a journalled request where the daemon may die.
        records: where the records of resources outlive the daemon; None: nowhere.
        image_records: where those of images do.
        reloader: lets components take over changed settings; None: nothing is reloaded.
        control: gets the commands that the daemon does for the host; None: it does none.
        volume_owners: where the owners of volumes outlive the daemon; None: nowhere.
        sync: brings a file of the audit log to disk.

    Raises:
        SetupError: the key or an address cannot be used.
    """
    async with AsyncExitStack() as stack:
        # Authentication
        keys = KeyRing.open(settings.keys_dir)
        authenticator = await stack.enter_async_context(
            authenticating(settings, database, keys, timing.auth)
        )

        requests = RequestStore(database, daemon_id(settings.state_dir))
        audit = _audit_log(settings, database, keys, timing.audit, sync)
        auditor = CallAuditor(audit, requests)

        # The core over the drivers
        connections = [
            EngineConnection(host, await stack.enter_async_context(driver), timing.probes)
            for host, driver in drivers
        ]
        hosts = Hosts(list(dict.fromkeys(host for host, _driver in drivers)), connections)
        slicer = TimeSlicer()
        owners = OwnerStore(database)
        record_cache = RecordCache(
            records or LocalResourceRecords(), owners, timing.inventory.records
        )
        store = Store(ChangeHistory(history_size), records=record_cache)
        inventory = Inventory(connections, store, slicer=slicer, timing=timing.inventory)
        resolver = Resolver(hosts, inventory, timing.resolver)
        tasks = ShieldedTasks()
        tenancy = VolumeTenancy(volume_owners or LocalVolumeOwners(), owners)
        surroundings = SurroundingsReader(
            inventory, connections, protected_paths(settings), tenancy
        )
        gate = PolicyGate(settings.policy, inventory, surroundings)
        verbs = VerbRunner(resolver, inventory, tasks, gate, timing.verbs)
        quotas = Quotas(inventory, tenancy, gate)
        ledger = ImageLedger(image_records or LocalImageRecords())
        await ledger.load()
        provisioning = Provisioning(
            hosts, resolver, tasks, inventory, gate, tenancy, quotas, ledger
        )
        removals = Removals(hosts, timing.removals)
        journal = RequestJournal(
            requests,
            tasks,
            ProtoAnswerCodec(methods()),
            RequestJudge(hosts, inventory, removals, timing.recovery),
            timing=timing.journal,
            most=most_requests,
            checkpoint=checkpoint,
            on_judged=auditor.settle,
        )

        if control is not None:
            control.add("own", Handover(resolver, inventory, tenancy, owners).run)

        # The contract over the core
        redactor = Redactor(settings.secret_patterns)
        tls = TlsCredentials(
            read_tls(settings.tls) if settings.tls else None, settings.tls_client_listen
        )
        users = UserLimiter(_user_limits(settings))
        if reloader is not None:
            reloader.add(tls)
            reloader.add(authenticator.certificates)
            reloader.add(
                ReloadableSettings(
                    *("policy", "allowed_registries"), take_over=lambda each: gate.use(each.policy)
                )
            )
            reloader.add(
                ReloadableSettings(
                    *("user_calls_per_second", "user_concurrent_calls", "user_unread_bytes"),
                    take_over=lambda each: users.use(_user_limits(each)),
                )
            )
        signer = Signer(keys.derived("page and resume tokens"))
        paginator = Paginator(signer)
        server = RpcServer(
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
            auth=AuthService(authenticator, owners, quotas),
            resources=ResourceService(
                ResourceLister(hosts, inventory, slicer),
                Lifecycle(resolver, verbs, inventory, gate, quotas),
                WatchService(hosts, inventory),
                StatsService(hosts, resolver, inventory, timing.stats),
                WaitService(resolver, inventory, timing.waits),
                paginator,
                signer,
                slicer,
                redactor,
            ),
            containers=ContainerService(
                provisioning,
                Recreator(resolver, verbs, inventory, gate, tenancy, quotas, ledger),
                ContainerPruner(hosts, verbs, tasks, inventory, slicer),
            ),
            images=ImageService(
                ImageOperations(hosts, tasks, gate, RegistryLogins(), ledger), paginator
            ),
            domains=DomainService(provisioning),
            snapshots=SnapshotService(
                SnapshotOperations(resolver, verbs, inventory, quotas), paginator
            ),
            volumes=VolumeService(
                VolumeOperations(hosts, tasks, inventory, gate, tenancy, quotas), paginator
            ),
            operations=OperationService(journal, paginator),
            audit=AuditService(audit, paginator, methods()),
            hosts=HostService(hosts, paginator),
            server=ServerService(_server_info(settings, inventory)),
            max_message_bytes=settings.grpc_max_message_bytes,
            max_concurrent_streams=settings.grpc_max_concurrent_streams,
            timing=timing.rpc,
        )

        # Fail for an address that cannot be bound before the engines are asked; answer after.
        addresses = server.listen(
            settings.listen, tls, SocketAccess.of(settings.socket_group, settings.socket_mode)
        )
        await stack.enter_async_context(audit.opened(auditor.known))
        await stack.enter_async_context(_supervised(connections))
        await stack.enter_async_context(inventory.following())
        await stack.enter_async_context(tenancy.following(hosts))
        failed = await requests.failed_creates(datetime.now(UTC) - RETENTION)
        await stack.enter_async_context(removals.watching(failed))
        await stack.enter_async_context(journal.opened())
        await server.start()
        stack.push_async_callback(_drain, server, tasks, settings.drain_timeout)
        yield addresses


def _user_limits(settings: Settings) -> UserLimits:
    return UserLimits(
        calls_per_second=settings.user_calls_per_second,
        concurrent_calls=settings.user_concurrent_calls,
        unread_bytes=settings.user_unread_bytes,
    )


def _audit_log(
    settings: Settings, database: Database, keys: KeyRing, timing: AuditTiming, sync: Sync
) -> AuditLog:
    options = AuditOptions(
        sync_each=settings.audit_sync is AuditSync.CALL,
        group_delay=settings.audit_group_delay.total_seconds(),
        file_bytes=settings.audit_file_bytes,
        kept_files=settings.audit_kept_files,
        reserved_bytes=settings.audit_reserved_bytes,
    )
    daemon = daemon_id(settings.state_dir)
    writer = LogWriter(settings.audit_dir, keys.derived("audit log"), daemon, options, sync=sync)
    return AuditLog(
        writer,
        AuditStore(database, daemon),
        settings.audit_dir,
        options=options,
        timing=timing,
    )


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


@asynccontextmanager
async def _supervised(connections: Sequence[EngineConnection]) -> AsyncIterator[None]:
    """Probe the engines from now on; enter the block when each has been probed once."""
    await asyncio.gather(*(connection.probe() for connection in connections))
    tasks = [asyncio.create_task(connection.supervise()) for connection in connections]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(server: RpcServer, tasks: ShieldedTasks, patience: timedelta) -> None:
    """Wait for the calls, and for the changes whose callers are gone, within `patience`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    await server.stop(patience)
    await tasks.close(max(deadline - loop.time(), 0))
