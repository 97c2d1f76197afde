"""Mutations with request ids, while daemon, engines and clients are killed all the time.

What was done, and what was counted, is kept in a folder of the seed, so that a run that was
stopped goes on with `--seed` of its own.
"""

import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from eventually import wait_until
from kills.daemons import Daemons, new_id
from kills.trial import Outcome, outcome_of
from soak.kill_slots import PREFIX, ContainerSlot, DomainSlot, Slot, Step, View, VolumeSlot
from soak.kill_world import AWAY, Plan, World, engines, running
from soak.setting import IMAGE

# Not stored, or of a daemon or a caller that went away: the same call is made again.
_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


FULL = Plan(mutations=3000, daemon_kills=300, engine_kills=60, dropped_clients=300)


class _Worker:
    """Makes mutations on slots of its own, and checks each."""

    def __init__(self, world: World, daemons: Daemons, number: int) -> None:
        first = number * 3
        self._slots: list[Slot] = [
            ContainerSlot(first),
            DomainSlot(first + 1),
            VolumeSlot(first + 2),
        ]
        self._world, self._daemons = world, daemons
        self._chance = random.Random(f"{world.seed}/{number}/{world.tally.mutations}")
        self._channel = daemons.connect()

    def run(self) -> None:
        """Go on until enough was done."""
        try:
            while not self._world.over.is_set():
                self._mutate(self._chance.choice(self._slots))
        except Exception as error:
            self._world.blame(f"a worker ended: {error!r}")
            raise
        finally:
            self._channel.close()

    def _mutate(self, slot: Slot) -> None:
        world = self._world
        before = world.patiently(lambda: slot.look(world.bare))
        epoch = world.engine_epoch
        step = slot.choose(before, self._chance)
        request = step.request
        request.request_id = new_id()
        first = self._answer(step)
        if self._chance.random() < 0.3:
            again = self._answer(step)
            world.count(repeats=1)
            if not again.is_like(first):
                world.blame(f"{step.method} {request.request_id}: {first}, and then {again}")
        with world.lock:
            world.tally.outcomes[f"{step.method} {first}"] += 1
        self._check(slot, step, before, first, epoch)
        world.count(mutations=1)
        if world.tally.mutations >= world.plan.mutations:
            world.over.set()

    def _answer(self, step: Step) -> Outcome:
        """Make a call until its outcome is known; now and then as a client that goes away."""
        drops = self._chance.random() < 0.12
        within = self._chance.random() * 0.3 if drops else 90.0
        if drops:
            self._world.count(dropped_clients=1)
        deadline = time.monotonic() + 300
        while True:
            try:
                response = self._daemons.call_on(
                    self._channel, step.service, step.method, step.request, within=within
                )
            except grpc.RpcError as error:
                outcome = outcome_of(error)
                again = error.code() in _AGAIN and outcome.reason != "INTERRUPTED"
                if not again or time.monotonic() > deadline:
                    return outcome
                within = 90.0
                time.sleep(0.05)
            else:
                return outcome_of(response)

    def _check(self, slot: Slot, step: Step, before: View, outcome: Outcome, epoch: int) -> None:
        world = self._world
        if not outcome.code:
            allowed = [before | step.after]
        elif outcome.effect == "none":
            allowed = [before]
        else:
            allowed = [before | each for each in ({}, step.after, *step.halves)]
            if outcome.reason != "INTERRUPTED":
                allowed = allowed[:1]  # the engine refused

        def same(seen: View) -> bool:
            keys = set(seen) - {"id"}
            if world.engine_epoch != epoch:  # it killed, or stopped, what ran
                keys -= {"state"}
            return any(all(seen[key] == each[key] for key in keys) for each in allowed)

        def holds() -> bool:
            return same(slot.look(world.bare))

        try:
            wait_until(holds, "", within=30, every=0.1, tolerate=AWAY)
        except TimeoutError:
            seen = world.patiently(lambda: slot.look(world.bare))
            if not same(seen):
                world.blame(
                    f"{slot.name} {step.method} {step.request.request_id}: {outcome}, "
                    f"was {before}, is {seen}"
                )


def _kill_daemons(world: World, daemons: Daemons) -> None:
    """Kill the daemon, and start the next, as often as the plan wants by the mutations done."""
    chance = random.Random(f"{world.seed}/daemon/{world.tally.mutations}")
    while not world.over.is_set():
        due = world.plan.daemon_kills * world.tally.mutations / world.plan.mutations
        if world.tally.daemon_kills < due:
            time.sleep(chance.random() * 0.5)
            daemons.kill()
            world.count(daemon_kills=1)
            daemons.start()
        world.over.wait(0.1)


def _kill_engines(world: World) -> None:
    chance = random.Random(f"{world.seed}/engine/{world.tally.mutations}")
    while not world.over.is_set():
        due = world.plan.engine_kills * world.tally.mutations / world.plan.mutations
        if world.tally.engine_kills < due:
            time.sleep(chance.random() * 0.5)
            world.engine_epoch += 1
            engine = chance.choice((world.dockerd, world.libvirtd))
            engine.signal(signal.SIGKILL)
            world.count(engine_kills=1)
            if engine is world.dockerd:
                _end_containers(world)
            engine.start()
            if engine is world.dockerd:
                world.patiently(world.docker.containers)
            else:
                world.patiently(world.bare.connect).close()
            world.engine_epoch += 1
        world.over.wait(0.1)


def _end_containers(world: World) -> None:
    """End the containerd of a killed dockerd, which would not let the next one begin."""
    for name in ("containerd.pid",):
        file = world.home / "docker/exec/containerd" / name
        with suppress(OSError, ValueError):
            os.kill(int(file.read_text()), signal.SIGKILL)
        file.unlink(missing_ok=True)


def _bystanders(world: World) -> dict[str, Any]:
    """Make, if need be, what belongs to others, and return how it is."""
    docker, name = world.docker, "somebody-elses"
    listed = {each["Names"][0]: each for each in docker.containers() if each["Names"]}
    if f"/{name}" not in listed:
        labels = {"slot": "none", "proa.driver.creation": "0" * 32}
        docker("POST", "/volumes/create", {"Name": name, "Labels": labels})
        docker("POST", "/containers/create", {"Image": IMAGE, "Labels": labels}, name=name)
    connection = world.bare.connect()
    pool = connection.storagePoolLookupByName("kills")
    file = world.pool_path / f"{name}.qcow2"
    if not file.exists():
        pool.createXML(
            f"<volume><name>{file.name}</name><capacity>1048576</capacity>"
            "<target><format type='qcow2'/></target></volume>"
        )
        connection.defineXML(
            f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>"
            "<os><type>hvm</type></os><devices><disk type='file' device='disk'>"
            f"<driver name='qemu' type='qcow2'/><source file='{file}'/>"
            "<target dev='vda'/></disk></devices></domain>"
        )
    container = docker("GET", f"/containers/{name}/json")
    domain = connection.lookupByName(name)
    found = {
        "container": (container["Id"], container["State"]["Status"], container["Config"]),
        "volume": docker("GET", f"/volumes/{name}"),
        "domain": (domain.UUIDString(), domain.state(), domain.XMLDesc()),
        "file": (file.stat().st_ino, file.stat().st_mtime_ns, file.stat().st_size),
    }
    connection.close()
    return found


def _left_over(world: World, daemons: Daemons) -> list[str]:
    """Return what is left though no slot has it, of things, records and requests."""
    wrong = []
    domains = {domain.name() for domain in world.bare.connect().listAllDomains()}
    files = {path.name for path in world.pool_path.iterdir() if path.name.startswith(PREFIX)}
    of_domains = {name for name in files if any(name.startswith(f"{each}-vd") for each in domains)}
    records = daemons.volume_records()
    plain = {name for name in files - of_domains if name.removeprefix(PREFIX).isdigit()}
    wrong += [f"file {name} of nobody" for name in files - of_domains - plain]
    wrong += [f"record of {name}, which is gone" for name, _ in records if name not in files]
    wrong += [f"record of {name} is {state}" for name, state in records if state == "PLANNED"]
    wrong += [f"no record of {name}" for name in files - {name for name, _ in records}]
    if pending := running(world):
        wrong.append(f"{pending} requests without an end")
    return wrong


def kills(plan: Plan, seed: int) -> str:
    """Each mutation takes effect once, whatever is killed meanwhile; nothing is left over."""
    home = Path("/var/tmp") / f"{PREFIX}kills-{seed}"
    home.mkdir(exist_ok=True, mode=0o755)
    world = World(home, plan, seed)
    begin = time.monotonic()
    with (
        engines(world),
        Daemons(
            home / "daemons",
            docker_url=world.dockerd.url,
            libvirt_uri=world.libvirtd.uri,
            pool="kills",
            pool_path=world.pool_path,
        ) as daemons,
    ):
        others = _bystanders(world)
        daemons.start()
        # Of a run that was stopped; what is judged late would be taken for a mutation.
        wait_until(lambda: not running(world), "all requests have ended", within=120)
        with ThreadPoolExecutor() as threads, world.ending():
            workers = [_Worker(world, daemons, number) for number in range(plan.workers)]
            jobs = [threads.submit(worker.run) for worker in workers]
            jobs += [threads.submit(_kill_daemons, world, daemons)]
            jobs += [threads.submit(_kill_engines, world)]
            for job in jobs:
                job.result()
        world.patiently(lambda: _bystanders(world))
        with suppress(TimeoutError):
            wait_until(
                lambda: not _left_over(world, daemons), "", within=60, every=1, tolerate=AWAY
            )
        for wrong in _left_over(world, daemons):
            world.blame(wrong)
        after = _bystanders(world)
        for name, was in others.items():
            if after[name] != was:
                world.blame(f"somebody else's {name} was {was}, is {after[name]}")
    tally = world.tally
    report = replace(tally, violations=[])
    assert not tally.violations, f"{report}: {tally.violations}"
    shutil.rmtree(home, ignore_errors=True)
    return f"{report} in {time.monotonic() - begin:.0f} s"
