"""The durations of the daemon's components."""

from dataclasses import dataclass, field

from proad.audit import AuditTiming
from proad.auth.timing import AuthTiming
from proad.core.engine_connection import ProbeTiming
from proad.core.inventory import InventoryTiming
from proad.core.quotas import QuotaTiming
from proad.core.recovery import RecoveryTiming
from proad.core.removals import RemovalTiming
from proad.core.requests import JournalTiming
from proad.core.resolver import ResolverTiming
from proad.core.stats_service import StatsStreamTiming
from proad.core.verb_runner import VerbTiming
from proad.core.volume_owner_reconciler import VolumeTiming
from proad.core.wait_service import WaitTiming
from proad.rpc.timing import RpcTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonTiming:
    """The durations of the components that `app.serving` composes, by component."""

    auth: AuthTiming = field(default_factory=AuthTiming)
    audit: AuditTiming = field(default_factory=AuditTiming)
    probes: ProbeTiming = field(default_factory=ProbeTiming)
    inventory: InventoryTiming = field(default_factory=InventoryTiming)
    resolver: ResolverTiming = field(default_factory=ResolverTiming)
    verbs: VerbTiming = field(default_factory=VerbTiming)
    journal: JournalTiming = field(default_factory=JournalTiming)
    quotas: QuotaTiming = field(default_factory=QuotaTiming)
    recovery: RecoveryTiming = field(default_factory=RecoveryTiming)
    removals: RemovalTiming = field(default_factory=RemovalTiming)
    stats: StatsStreamTiming = field(default_factory=StatsStreamTiming)
    volumes: VolumeTiming = field(default_factory=VolumeTiming)
    waits: WaitTiming = field(default_factory=WaitTiming)
    rpc: RpcTiming = field(default_factory=RpcTiming)
