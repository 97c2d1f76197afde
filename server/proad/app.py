"""The composition root: every component is made, given what it needs, and closed here."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from proad.audit import HostCalls, Sync
from proad.auth.keys import KeyRing
from proad.composition.audit import audit_log
from proad.composition.authentication import authenticating
from proad.composition.core import compose_core
from proad.composition.engines import supervised
from proad.composition.reloading import add_reloadables, user_limits
from proad.composition.services import compose_local_login, compose_server
from proad.config import Settings
from proad.control import Control
from proad.core.engine_connection import EngineConnection
from proad.core.handover import Handover
from proad.core.inventory import HISTORY_SIZE
from proad.core.recovery import RequestJudge
from proad.core.requests import MOST_REQUESTS, RETENTION, Checkpoint, RequestJournal, passed
from proad.core.shielded_tasks import ShieldedTasks
from proad.ports import Driver
from proad.ports.records import ImageRecords, ResourceRecords, VolumeOwners
from proad.reload import Reloader
from proad.rpc.answers import ProtoAnswerCodec
from proad.rpc.call_auditor import CallAuditor
from proad.rpc.methods import methods
from proad.rpc.server import RpcServer
from proad.rpc.tls_credentials import TlsCredentials
from proad.rpc.user_limiter import UserLimiter
from proad.sockets import SocketAccess
from proad.state import daemon_id
from proad.store.database import Database
from proad.store.requests import RequestStore
from proad.timing import DaemonTiming
from proad.tls import read_tls


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
        keys = KeyRing.open(settings.keys_dir)
        authenticator = await stack.enter_async_context(
            authenticating(settings, database, keys, timing.auth)
        )
        requests = RequestStore(database, daemon_id(settings.state_dir))
        audit = audit_log(settings, database, keys, timing.audit, sync)
        auditor = CallAuditor(audit, requests)

        connections = [
            EngineConnection(host, await stack.enter_async_context(driver), timing.probes)
            for host, driver in drivers
        ]
        core = await compose_core(
            settings,
            database,
            connections,
            timing,
            history_size,
            records=records,
            image_records=image_records,
            volume_owners=volume_owners,
        )
        journal = RequestJournal(
            requests,
            core.tasks,
            ProtoAnswerCodec(methods()),
            RequestJudge(core.hosts, core.inventory, core.removals, timing.recovery),
            timing=timing.journal,
            most=most_requests,
            checkpoint=checkpoint,
            on_judged=auditor.settle,
        )
        if control is not None:
            control.add(
                "own",
                Handover(core.hosts, core.resolver, core.inventory, core.tenancy, core.owners).run,
            )
            of_host = HostCalls(audit)
            control.add("audit-begin", of_host.begin)
            control.add("audit-end", of_host.end)

        tls = TlsCredentials(
            read_tls(settings.tls) if settings.tls else None, settings.tls_client_listen
        )
        users = UserLimiter(user_limits(settings))
        if reloader is not None:
            add_reloadables(reloader, tls, authenticator, core.gate, users)
        server = compose_server(
            settings,
            core,
            authenticator=authenticator,
            keys=keys,
            journal=journal,
            audit=audit,
            auditor=auditor,
            users=users,
            timing=timing,
        )

        # Fail for an address that cannot be bound before the engines are asked; answer after.
        access = SocketAccess.of(settings.socket_group, settings.socket_mode)
        addresses = server.listen(settings.listen, tls, access)
        await stack.enter_async_context(audit.opened(auditor.known))
        await stack.enter_async_context(supervised(connections))
        await stack.enter_async_context(core.inventory.following())
        await stack.enter_async_context(core.volume_owners.following(core.hosts))
        failed = await requests.failed_creates(datetime.now(UTC) - RETENTION)
        await stack.enter_async_context(core.removals.watching(failed))
        await stack.enter_async_context(journal.opened())
        await server.start()
        stack.push_async_callback(_drain, server, core.tasks, settings.drain_timeout)
        if settings.login_socket is not None:
            logins = compose_local_login(authenticator, auditor, users, timing.rpc)
            await stack.enter_async_context(logins.listening(settings.login_socket, access))
        yield addresses


async def _drain(server: RpcServer, tasks: ShieldedTasks, patience: timedelta) -> None:
    """Wait for the calls, and for the changes whose callers are gone, within `patience`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    await server.stop(patience)
    await tasks.close(max(deadline - loop.time(), 0))
