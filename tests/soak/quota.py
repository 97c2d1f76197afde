"""Racing creates of one tenant against a quota, while the daemon is killed again and again.

What is true is what the engines list: at no moment more than the quota, and after each round
exactly what was answered, with nothing else counted.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import grpc
import libvirt

from eventually import wait_until
from integration.docker.private_engine import PrivateEngine
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from integration.postgres import running_postgres
from kills.daemons import Daemons, new_id
from kills.host import daemons_over, host_engines, new_prefix
from kills.trial import Outcome, outcome_of
from kills.truth import Engines, sweep
from proa import v1
from proad.model import Access
from soak.bare import Docker
from soak.setting import IMAGE, folder, wait_through_outages

MIB = 2**20
_LEAST = 8 * MIB
_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is done, and how much the tenant may have."""

    creates: int
    in_a_round: int
    killed_rounds: float
    callers: int = 16
    resources: int = 50
    running: int = 6

    @property
    def memory_bytes(self) -> int:
        """Such that now the number of resources is the narrower quota, and now this one."""
        return self.resources * 44 * MIB


FULL = Plan(creates=5000, in_a_round=200, killed_rounds=0.8)


@dataclass(frozen=True)
class Seen:
    """A container or domain, as its engine lists it."""

    runs: bool
    memory_bytes: int


Truth = dict[str, Seen]


class Look:
    """What the engines have under a prefix, by name, over a connection of its own."""

    def __init__(self, engines: Engines, prefix: str) -> None:
        self._docker = docker.APIClient(engines.url, timeout=60)
        self._libvirt = libvirt.open(engines.uri)
        self._prefix = prefix

    def close(self) -> None:
        """Close the connections."""
        self._docker.close()
        self._libvirt.close()

    def truth(self) -> Truth:
        """Return what is there at one moment: what two lists of containers around it agree on."""
        first = self._containers()
        domains = self._domains()
        last = self._containers()
        both = first.keys() & last.keys()
        return domains | {
            name: Seen(first[name].runs and last[name].runs, last[name].memory_bytes)
            for name in both
        }

    def _containers(self) -> Truth:
        listed = self._docker.containers(all=True, filters={"name": self._prefix})
        return {
            each["Names"][0][1:]: Seen(each["State"] == "running", int(each["Labels"]["memory"]))
            for each in listed
        }

    def _domains(self) -> Truth:
        active = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        running = {domain.name() for domain in self._libvirt.listAllDomains(active)}
        found = {}
        for domain in self._libvirt.listAllDomains():
            with suppress(libvirt.libvirtError):  # gone meanwhile
                if (name := domain.name()).startswith(self._prefix):
                    found[name] = Seen(name in running, domain.maxMemory() * 1024)
        return found


class Race:
    """Rounds of racing calls of one tenant."""

    def __init__(
        self, daemons: Daemons, engines: Engines, plan: Plan, prefix: str, seed: int
    ) -> None:
        self._daemons, self._plan, self._prefix = daemons, plan, prefix
        self._engines = engines
        self._chance = random.Random(seed)
        self._channel = daemons.connect()
        self._look = Look(engines, prefix)
        self._lock = threading.Lock()
        self._number = 0
        self._there: dict[str, bool] = {}
        """By name, whether what was made must be there; what may be or not is not in it."""
        self.outcomes: Counter[str] = Counter()
        self.highest = Counter[str]()
        self.samples = 0

    def run(self) -> None:
        """Run all rounds."""
        begin, rounds = time.monotonic(), 0
        with self._watching():
            while self.outcomes["creates"] < self._plan.creates:
                self._round()
                self._settle()
                rounds += 1
                if rounds % 5 == 0:
                    self._say(f"{time.monotonic() - begin:.0f} s: {self}")
        self._channel.close()
        self._look.close()

    def __str__(self) -> str:
        return (
            f"{self._daemons.killings} killings, at most {dict(self.highest)} at once in "
            f"{self.samples} looks, {dict(self.outcomes.most_common())}"
        )

    def _say(self, text: str) -> None:
        print(f"quota: {text}", flush=True)  # noqa: T201 - its output

    def _round(self) -> None:
        """Make room, and have all callers race for it, with a kill at any moment."""
        chance, plan = self._chance, self._plan
        calls: list[Callable[[], None]] = [self._create] * plan.in_a_round
        for share, call in ((0.08, self._delete), (0.06, self._start), (0.04, self._stop)):
            calls += [call] * int(plan.in_a_round * share)
        chance.shuffle(calls)
        room = chance.randint(1, plan.resources)
        kills = [self._kill] if chance.random() < plan.killed_rounds else []
        with ThreadPoolExecutor(plan.callers + 1) as pool:
            done = [pool.submit(call) for call in [*kills, *[self._delete] * room, *calls]]
        for each in done:
            each.result()

    def _kill(self) -> None:
        for _ in range(self._chance.randint(1, 3)):
            time.sleep(self._chance.random() * 2)  # any moment of the round
            self._daemons.kill()
            self._daemons.start()

    def _create(self) -> None:
        with self._lock:
            self._number += 1
            name = f"{self._prefix}-{self._number}"
            container = self._chance.random() < 0.5
            memory = self._chance.choice((32, 48, 64)) * MIB
            start = self._chance.random() < 0.15
        self._count("creates")
        outcome = self._made(name, container=container, memory=memory, start=start)
        self._count(f"create {outcome}")
        assert not outcome.code or outcome.reason in {"QUOTA_EXCEEDED", "INTERRUPTED"}, outcome
        with self._lock:
            if not outcome.code:
                self._there[name] = True
            elif outcome.effect != "unknown":
                self._there[name] = False

    def _made(self, name: str, *, container: bool, memory: int, start: bool) -> Outcome:
        if not container:
            domain = v1.DomainSpec(
                name=name, memory_bytes=memory, vcpus=1, diskless=True, networkless=True
            )
            asked = v1.CreateDomainRequest(spec=domain, start=start, request_id=new_id())
            return self._answer("Domain", "CreateDomain", asked)
        spec = v1.ContainerSpec(
            image=IMAGE,
            name=name,
            command=["sleep", "100000"],
            labels={"memory": str(memory)},
            networks=[v1.NetworkAttachment(network="none")],
            resources=v1.ContainerResources(memory_bytes=memory),
            stop_signal="SIGKILL",
        )
        request = v1.CreateContainerRequest(spec=spec, start=start, request_id=new_id())
        return self._answer("Container", "CreateContainer", request)

    def _delete(self) -> None:
        with self._lock:
            names = [name for name, there in self._there.items() if there]
            if not names:
                return
            name = self._chance.choice(names)
            del self._there[name]
        request = v1.DeleteResourceRequest(
            id=name, force=True, allow_missing=True, request_id=new_id()
        )
        while (outcome := self._answer("Resource", "DeleteResource", request)).code:
            assert outcome.reason == "INTERRUPTED", str(outcome)
            self._count(f"delete {outcome}")
            request.request_id = new_id()
        self._count(f"delete {outcome}")
        with self._lock:
            self._there[name] = False

    def _start(self) -> None:
        self._verb("start", "StartResource", v1.StartResourceRequest)

    def _stop(self) -> None:
        self._verb("stop", "StopResource", v1.StopResourceRequest, mode=v1.STOP_MODE_FORCE)

    def _verb(self, verb: str, method: str, of: type[Any], **fields: Any) -> None:
        with self._lock:
            names = [name for name, there in self._there.items() if there]
            if not names:
                return
            name = self._chance.choice(names)
        request = of(id=name, request_id=new_id(), **fields)
        self._count(f"{verb} {self._answer('Resource', method, request)}")

    def _answer(self, service: str, method: str, request: Any) -> Outcome:
        """Make a call until its outcome is known, whatever becomes of the daemon."""
        deadline = time.monotonic() + 300
        while True:
            try:
                response = self._daemons.call_on(self._channel, service, method, request, within=90)
            except grpc.RpcError as error:
                outcome = outcome_of(error)
                known = error.code() not in _AGAIN or outcome.reason in {
                    "INTERRUPTED",
                    "QUOTA_EXCEEDED",
                }
                if known or time.monotonic() > deadline:
                    return outcome
                time.sleep(0.05)
            else:
                return outcome_of(response)

    def _count(self, what: str) -> None:
        with self._lock:
            self.outcomes[what] += 1

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Look at the engines all the time within the block, and raise what was seen there."""
        over, found = threading.Event(), list[str]()

        def watch() -> None:
            look = Look(self._engines, self._prefix)
            while not over.is_set():
                truth = look.truth()
                self.samples += 1
                for name, (amount, limit) in self._amounts(truth).items():
                    self.highest[name] = max(self.highest[name], amount)
                    if amount > limit:
                        found.append(f"{amount} of {name}, of {limit} at most: {truth}")
                over.wait(0.02)
            look.close()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        assert not found, f"{len(found)} times too much: {found[:3]}"

    def _amounts(self, truth: Truth) -> dict[str, tuple[int, int]]:
        """Return how much there is, and how much may be."""
        return {
            "resources": (len(truth), self._plan.resources),
            "running": (sum(each.runs for each in truth.values()), self._plan.running),
            "memory_bytes": (
                sum(each.memory_bytes for each in truth.values()),
                self._plan.memory_bytes,
            ),
        }

    def _settle(self) -> None:
        """Check that what was answered is there, that it alone counts, and that the rest is free."""
        wait_until(self._as_answered, self._differences, every=0.2)
        truth = self._look.truth()
        amounts = self._amounts(truth)
        free = min(
            self._plan.resources - len(truth),
            (self._plan.memory_bytes - amounts["memory_bytes"][0]) // _LEAST,
        )
        if self._chance.random() < 0.7:
            return
        names = [f"{self._prefix}-fill-{self._number}-{number}" for number in range(free + 1)]
        for name in names:
            outcome = self._made(name, container=True, memory=_LEAST, start=False)
            full = name == names[-1]
            assert (outcome.reason == "QUOTA_EXCEEDED") is full, (name, names[-1], str(outcome))
            self._there[name] = not full
        self._count("filled to the last one")

    def _as_answered(self) -> bool:
        return not any(self._differences())

    def _differences(self) -> list[object]:
        """Return in what answers, engines, lists and quotas differ."""
        truth = self._look.truth()
        must = {name for name, there in self._there.items() if there}
        never = {name for name, there in self._there.items() if not there}
        listed = {each.name for each in self._listed()}
        caller = self._daemons.call("Auth", "GetCaller", v1.GetCallerRequest())
        used = {
            v1.QuotaName.Name(each.name).removeprefix("QUOTA_NAME_").lower(): each.used
            for each in caller.quotas
        }
        counted = {
            name: (used[name], amount)
            for name, (amount, _limit) in self._amounts(truth).items()
            if used[name] != amount
        }
        return [must - truth.keys(), never & truth.keys(), listed ^ truth.keys(), counted]

    def _listed(self) -> list[Any]:
        request = v1.ListResourcesRequest(page_size=1000)
        return list(self._daemons.call("Resource", "ListResources", request).resources)


def race(engines: Engines, home: Path, plan: Plan, seed: int, **environment: str) -> str:
    """Run a race over engines, and return what was seen."""
    config = home / "proad.toml"
    config.write_text(
        f"[policy.profiles.default]\nquota_resources = {plan.resources}\n"
        f"quota_running = {plan.running}\nquota_memory_bytes = {plan.memory_bytes}\n"
    )
    prefix = new_prefix()
    with daemons_over(
        engines, home, access=Access.OWN, PROA_CONFIG=str(config), **environment
    ) as daemons:
        try:
            daemons.start()
            race = Race(daemons, engines, plan, prefix, seed)
            race.run()
            return str(race)
        finally:
            sweep(engines, prefix)


@contextmanager
def _private_engines() -> Iterator[Engines]:
    """Run engines of our own, since what races may break others' tests on them."""
    with ExitStack() as stack:
        home = stack.enter_context(folder())
        for name in ("docker", "libvirt"):
            (home / name).mkdir()
        dockerd, libvirtd = PrivateEngine(home / "docker"), PrivateLibvirtd(home / "libvirt")
        for engine in (dockerd, libvirtd):
            engine.start()
            stack.callback(engine.stop)
        libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised, not printed
        libvirtd.connected().close()
        bare = Docker(dockerd.url)
        wait_through_outages(lambda: bare.containers() == [], "dockerd answers")
        yield stack.enter_context(host_engines(dockerd.url, libvirtd.uri))


def quota(plan: Plan, seed: int) -> str:
    """Race on SQLite, and then on PostgreSQL."""
    reports = []
    with _private_engines() as engines, running_postgres() as postgres:
        with folder() as home:
            reports.append(f"SQLite: {race(engines, home, plan, seed)}")
        with folder() as home, postgres.new_database() as url:
            report = race(engines, home, plan, seed + 1, PROA_DATABASE_URL=url)
            reports.append(f"PostgreSQL: {report}")
    return "; ".join(reports)
