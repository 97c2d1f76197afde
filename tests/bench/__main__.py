"""Build a load on the real engines, measure every promise about speed, report the result."""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench.auditing import audit
from bench.bare import BareLibvirt
from bench.commanding import commands
from bench.daemon import Daemon, running
from bench.external_changes import external_changes
from bench.idling import idle
from bench.load import Load
from bench.many_watchers import many_watchers
from bench.pausing import verbs
from bench.plan import FULL, QUICK, Plan
from bench.reading import gets, lists
from bench.repeating import request_ids
from bench.report import Report, Row
from bench.scaling import scaling
from bench.throughput import throughput

_progress = Console(stderr=True)


def _measure(plan: Plan, load: Load, daemon: Daemon, engine: BareLibvirt) -> Iterator[Row]:
    """Yield all rows. A measurement that fails becomes a row that missed; the others go on."""
    measures: dict[str, Callable[[], Iterator[Row]]] = {
        "ListResources": lambda: lists(plan, load, daemon),
        "GetResource": lambda: gets(plan, load, daemon),
        "pause + resume": lambda: verbs(plan, load, daemon),
        "GetResource, calls a second": lambda: throughput(plan, load, daemon),
        "among many resources": lambda: scaling(plan),
        "request ids": lambda: request_ids(plan),
        "audit log": lambda: audit(plan),
        "commands": lambda: commands(plan, daemon),
        "external change → watcher": lambda: external_changes(plan, load, daemon, engine),
        "many watchers": lambda: many_watchers(plan, load, daemon),
        "idle": lambda: idle(plan, load, daemon),
    }
    for work, measure in measures.items():
        _progress.print(f"[dim]bench: {work}[/dim]")
        try:
            yield from measure()
        except Exception as error:  # noqa: BLE001 - whatever it was, the figure is not there
            traceback.print_exc()
            yield Row.failure(work, error)


@contextmanager
def _built(plan: Plan, engine: BareLibvirt) -> Iterator[Load]:
    load = Load(engine.connection)
    try:
        load.build(plan)
        yield load
    finally:
        # Ignore signals: a load that is left behind disturbs everybody on the host.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _progress.print("[dim]bench: removing what was built[/dim]")
        load.remove()


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the run as Ctrl-C does, so that everything built is removed."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        yield
    except KeyboardInterrupt:
        _progress.print("bench: stopped; all that was built is removed")
        sys.exit(130)


def main() -> None:
    """Run, print the table, and exit with 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and watchers, under two minutes"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    begin = time.monotonic()
    with _told_to_stop():
        engine = BareLibvirt()
        _progress.print(
            f"[dim]bench: building {plan.containers} containers, {plan.domains} domains[/dim]"
        )
        with _built(plan, engine) as load, running() as daemon:
            daemon.await_ids(load.ids)
            rows = list(_measure(plan, load, daemon, engine))
        engine.close()
    report = Report(rows, quick=arguments.quick, seconds=time.monotonic() - begin)
    # A pipe has no width of its own, and the table should not be cut to a terminal's.
    report.show(Console(width=None if sys.stdout.isatty() else 150))
    if arguments.json:
        report.write(arguments.json)
    sys.exit(not report.passed)


if __name__ == "__main__":
    main()
