"""Changes behind the daemon's back while the engines are restarted under it."""

import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from proa import v1
from soak.outsiders import DockerOutsider, LibvirtOutsider, Outsider, work
from soak.process import Usage
from soak.setting import Setting, eventually, listed
from soak.watcher import Watcher


@dataclass(frozen=True)
class Plan:
    """How many changes are made on each engine, and how often each is restarted."""

    changes: int
    restarts: int


SHORT = Plan(changes=150, restarts=1)
FULL = Plan(changes=2500, restarts=10)


def behind(setting: Setting, plan: Plan, seed: int) -> str:
    """Everybody agrees afterwards, and each watcher was told of each gap."""
    chance = random.Random(seed)
    outsiders: list[Outsider] = [
        DockerOutsider(setting, random.Random(chance.random())),
        LibvirtOutsider(setting, random.Random(chance.random())),
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
            for outside in [
                pool.submit(_outside, setting, outsider, plan, watchers) for outsider in outsiders
            ]:
                outside.result()
        took = time.monotonic() - begin
        settled = eventually(lambda: _agree(setting, outsiders, watchers), "all agree", 30)
        for watcher in watchers:
            watcher.check()
        gaps = [_gaps(watcher, plan) for watcher in watchers]
    done = {outsider.kind: sum(outsider.done.values()) for outsider in outsiders}
    assert all(made >= plan.changes for made in done.values()), done
    return (
        f"{sum(done.values())} changes in {took:.0f} s {[o.done for o in outsiders]}, "
        f"each engine restarted {plan.restarts} times; all agree {settled:.2f} s later; "
        f"a steady watcher was told of {steady.picture.changes} changes and gaps {gaps[0]}, one "
        f"that resumed {fickle.resumed} times of {fickle.picture.changes} and {gaps[1]} "
        f"(compacted {fickle.compacted}); daemon {before} → {Usage.of(setting.pid)}"
    )


def _outside(
    setting: Setting, outsider: Outsider, plan: Plan, watchers: tuple[Watcher, ...]
) -> None:
    """Make changes on one engine, and restart it meanwhile."""
    over = threading.Event()
    working = threading.Thread(
        target=work,
        args=(outsider, lambda: over.is_set() and _made(outsider) >= plan.changes),
    )
    working.start()
    try:
        for number in range(plan.restarts):
            due = plan.changes * (number + 1) // (plan.restarts + 1)
            eventually(lambda due=due: _made(outsider) >= due, f"{due} changes", 300)
            _restart(setting, outsider.kind, number)
            for watcher in watchers:
                eventually(
                    lambda watcher=watcher, number=number: _told(watcher, outsider, number + 1),
                    f"a watcher is told of restart {number + 1} of {outsider.kind}",
                )
    finally:
        over.set()
        working.join()


def _restart(setting: Setting, kind: str, number: int) -> None:
    engine = setting.dockerd if kind == "docker" else setting.libvirtd
    engine.signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
    engine.start()


def _told(watcher: Watcher, outsider: Outsider, restarts: int) -> bool:
    watcher.check()
    return all(
        watcher.picture.gaps_of(outsider.kind, kind) >= restarts
        for kind in (v1.GAP_KIND_ENGINE_LOST, v1.GAP_KIND_ENGINE_RESYNCED)
    )


def _made(outsider: Outsider) -> int:
    return sum(outsider.done.values())


def _agree(setting: Setting, outsiders: list[Outsider], watchers: tuple[Watcher, ...]) -> bool:
    for watcher in watchers:
        watcher.check()
    truth = {id: state for outsider in outsiders for id, state in outsider.states().items()}
    with setting.client() as client:
        there = listed(client)
    return {id: (r.name, r.state) for id, r in there.items()} == truth and all(
        watcher.picture.resources == there for watcher in watchers
    )


def _gaps(watcher: Watcher, plan: Plan) -> dict[str, int]:
    told = {}
    for engine in ("docker", "libvirt"):
        for kind in (v1.GAP_KIND_ENGINE_LOST, v1.GAP_KIND_ENGINE_RESYNCED):
            name = v1.GapKind.Name(kind).removeprefix("GAP_KIND_ENGINE_").lower()
            told[f"{engine} {name}"] = count = watcher.picture.gaps_of(engine, kind)
            assert count >= plan.restarts, told
    return told
