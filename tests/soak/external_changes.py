"""External changes while the engines are restarted under the daemon."""

import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from proa import v1
from soak.external_actors import DockerExternalActor, ExternalActor, LibvirtExternalActor, work
from soak.process import Usage
from soak.setting import Setting, listed, wait_through_outages
from soak.watcher import Watcher


@dataclass(frozen=True)
class Plan:
    """How many changes are made on each engine, and how often each is restarted."""

    changes: int
    restarts: int


SHORT = Plan(changes=150, restarts=1)
FULL = Plan(changes=2500, restarts=10)


def external_changes(setting: Setting, plan: Plan, seed: int) -> str:
    """Check that daemon, engines and watchers agree in the end, and that watchers got every gap."""
    chance = random.Random(seed)
    actors: list[ExternalActor] = [
        DockerExternalActor(setting, random.Random(chance.random())),
        LibvirtExternalActor(setting, random.Random(chance.random())),
    ]
    begin, before = time.monotonic(), Usage.of(setting.pid)
    with (
        setting.client() as client,
        setting.client() as other,
        Watcher(client) as steady,
        Watcher(other, break_after=25) as fickle,
    ):
        watchers = (steady, fickle)
        with ThreadPoolExecutor() as pool:
            for change in [
                pool.submit(_change_and_restart, setting, actor, plan, watchers) for actor in actors
            ]:
                change.result()
        took = time.monotonic() - begin
        settled = wait_through_outages(lambda: _agree(setting, actors, watchers), "all agree", 30)
        for watcher in watchers:
            watcher.check()
        gaps = [_gaps(watcher, plan) for watcher in watchers]
    done = {actor.kind: sum(actor.done.values()) for actor in actors}
    assert all(made >= plan.changes for made in done.values()), done
    return (
        f"{sum(done.values())} changes in {took:.0f} s {[o.done for o in actors]}, "
        f"each engine restarted {plan.restarts} times; all agree {settled:.2f} s later; "
        f"a steady watcher was told of {steady.replica.changes} changes and gaps {gaps[0]}, one "
        f"that resumed {fickle.resumed} times of {fickle.replica.changes} and {gaps[1]} "
        f"(compacted {fickle.compacted}); daemon {before} → {Usage.of(setting.pid)}"
    )


def _change_and_restart(
    setting: Setting, actor: ExternalActor, plan: Plan, watchers: tuple[Watcher, ...]
) -> None:
    """Make changes on one engine, and restart it meanwhile."""
    over = threading.Event()
    working = threading.Thread(
        target=work,
        args=(actor, lambda: over.is_set() and _made(actor) >= plan.changes),
    )
    working.start()
    try:
        for number in range(plan.restarts):
            due = plan.changes * (number + 1) // (plan.restarts + 1)
            wait_through_outages(partial(_has_made, actor, due), f"{due} changes", 300)
            _restart(setting, actor.kind, number)
            for watcher in watchers:
                wait_through_outages(
                    partial(_notified, watcher, actor, number + 1),
                    f"a watcher is told of restart {number + 1} of {actor.kind}",
                )
    finally:
        over.set()
        working.join()


def _restart(setting: Setting, kind: str, number: int) -> None:
    engine = setting.dockerd if kind == "docker" else setting.libvirtd
    engine.signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
    engine.start()


def _notified(watcher: Watcher, actor: ExternalActor, restarts: int) -> bool:
    watcher.check()
    return all(
        watcher.replica.gaps_of(actor.kind, kind) >= restarts
        for kind in (v1.GAP_KIND_ENGINE_LOST, v1.GAP_KIND_ENGINE_RESYNCED)
    )


def _has_made(actor: ExternalActor, count: int) -> bool:
    return _made(actor) >= count


def _made(actor: ExternalActor) -> int:
    return sum(actor.done.values())


def _agree(setting: Setting, actors: list[ExternalActor], watchers: tuple[Watcher, ...]) -> bool:
    for watcher in watchers:
        watcher.check()
    truth = {id: state for actor in actors for id, state in actor.states().items()}
    with setting.client() as client:
        there = listed(client)
    return {id: (r.name, r.state) for id, r in there.items()} == truth and all(
        watcher.replica.resources == there for watcher in watchers
    )


def _gaps(watcher: Watcher, plan: Plan) -> dict[str, int]:
    counts = {}
    for engine in ("docker", "libvirt"):
        for kind in (v1.GAP_KIND_ENGINE_LOST, v1.GAP_KIND_ENGINE_RESYNCED):
            name = v1.GapKind.Name(kind).removeprefix("GAP_KIND_ENGINE_").lower()
            counts[f"{engine} {name}"] = count = watcher.replica.gaps_of(engine, kind)
            assert count >= plan.restarts, counts
    return counts
