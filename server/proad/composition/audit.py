"""The audit log of what callers change."""

from proad.audit import AuditLog, AuditOptions, AuditTiming, LogWriter, Sync
from proad.auth.keys import KeyRing
from proad.config import AuditSync, Settings
from proad.state import daemon_id
from proad.store.audit import AuditStore
from proad.store.database import Database


def audit_log(
    settings: Settings, database: Database, keys: KeyRing, timing: AuditTiming, sync: Sync
) -> AuditLog:
    """Return the audit log in the state folder, with its index in the database."""
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
