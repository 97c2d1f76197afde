"""The audit log of what callers and commands on the host change."""

from dataclasses import replace

from proad.audit import AuditLog, AuditOptions, AuditTiming, LogWriter, OfflineLog, Sync
from proad.auth.keys import KeyRing
from proad.config import AuditSync, Settings
from proad.state import daemon_id
from proad.store.audit import AuditStore
from proad.store.database import Database


def audit_log(
    settings: Settings, database: Database, keys: KeyRing, timing: AuditTiming, sync: Sync
) -> AuditLog:
    """Return the audit log in the state folder, with its index in the database."""
    options = _options(settings)
    daemon = daemon_id(settings.state_dir)
    return AuditLog(
        LogWriter(settings.audit_dir, _keys(keys), daemon, options, sync=sync),
        AuditStore(database, daemon),
        settings.audit_dir,
        options=options,
        timing=timing,
    )


def offline_log(settings: Settings, database: Database, keys: KeyRing) -> OfflineLog:
    """Return the same log for a command on the host, while no daemon writes it."""
    # The reserve is the daemon's: it would be given up at once.
    options = replace(_options(settings), reserved_bytes=0)
    daemon = daemon_id(settings.state_dir)
    return OfflineLog(
        LogWriter(settings.audit_dir, _keys(keys), daemon, options),
        AuditStore(database, daemon),
        settings.audit_dir,
    )


def _keys(keys: KeyRing) -> list[bytes]:
    return keys.derived("audit log")


def _options(settings: Settings) -> AuditOptions:
    return AuditOptions(
        sync_each=settings.audit_sync is AuditSync.CALL,
        group_delay=settings.audit_group_delay.total_seconds(),
        file_bytes=settings.audit_file_bytes,
        kept_files=settings.audit_kept_files,
        reserved_bytes=settings.audit_reserved_bytes,
    )
