"""The audit log: who did what, in lines that are only ever added.

Before a call changes anything, its intent is on disk; what became of it is a second line. The
lines form a chain under a key of the daemon, so that `proad audit verify` tells what was changed.
"""

from proad.audit.appended import Sync
from proad.audit.calls import AuditCall, CallOutcome
from proad.audit.host import HostCalls, OfflineLog, host_call
from proad.audit.log import AuditedCall, AuditLog
from proad.audit.options import AuditOptions, AuditTiming
from proad.audit.verify import AuditReport, Damage, Finding, verify
from proad.audit.writer import LogWriter

__all__ = [
    "AuditCall",
    "AuditLog",
    "AuditOptions",
    "AuditReport",
    "AuditTiming",
    "AuditedCall",
    "CallOutcome",
    "Damage",
    "Finding",
    "HostCalls",
    "LogWriter",
    "OfflineLog",
    "Sync",
    "host_call",
    "verify",
]
