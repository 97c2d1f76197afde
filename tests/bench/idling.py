"""What the daemon uses while nothing happens."""

import time
from collections.abc import Iterator

from bench.daemon import Daemon
from bench.load import Load
from bench.plan import Plan
from bench.process import cpu_seconds
from bench.report import Row, Target

_SETTLE = 3.0


def idle(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """Fill up with defined domains, and watch the daemon do nothing."""
    load.add_domains(max(0, plan.idle_resources - len(load.ids)))
    daemon.await_ids(load.ids)
    time.sleep(_SETTLE)
    begin, before = time.perf_counter(), cpu_seconds(daemon.pid)
    time.sleep(plan.idle_seconds)
    used = cpu_seconds(daemon.pid) - before
    yield Row(
        work=f"idle with {len(load.ids)} resources",
        ours=f"{used * 1000:.0f} ms in {plan.idle_seconds:.0f} s",
        figure=100 * used / (time.perf_counter() - begin),
        unit="%",
        target=Target("<", 1),
        note="Processor time of all the daemon's threads, as a share of one core; nobody calls.",
    )
