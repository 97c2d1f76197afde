"""The daemon's use of processor time while nothing happens."""

import time
from collections.abc import Iterator

from bench.daemon import Daemon
from bench.load import Load
from bench.plan import Plan
from bench.process import cpu_seconds
from bench.report import Row, Target

_SETTLE = 3.0
_NOTE = (
    "Processor time of all the daemon's threads, as a share of one core; nobody calls. "
    "Changes: what others did on the same engines meanwhile; it is idle only where there are none."
)


def idle(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """Fill up with defined domains, and watch the daemon do nothing."""
    load.add_domains(max(0, plan.idle_resources - len(load.ids)))
    daemon.await_ids(load.ids)
    time.sleep(_SETTLE)
    revision = _revision(daemon)
    begin, before = time.perf_counter(), cpu_seconds(daemon.pid)
    time.sleep(plan.idle_seconds)
    used, taken = cpu_seconds(daemon.pid) - before, time.perf_counter() - begin
    changes = _revision(daemon) - revision
    yield Row(
        work=f"idle with {len(load.ids)} resources",
        ours=f"{used * 1000:.0f} ms in {taken:.0f} s, {changes} changes",
        figure=100 * used / taken,
        unit="%",
        target=Target("<", 1),
        note=_NOTE,
    )


def _revision(daemon: Daemon) -> int:
    """Return the highest revision of the daemon's resources."""
    return max(resource.revision for resource in daemon.list())
