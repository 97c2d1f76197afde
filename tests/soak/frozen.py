"""A hung part delays its own calls, and no others."""

import math
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import proa
from proa import v1
from soak.process import Usage
from soak.setting import IMAGE, Setting, listed, wait_through_outages

_DEADLINE = 2.0
_CALLERS = 20


@dataclass(frozen=True)
class Plan:
    """How often it is frozen, and how many reads and verbs are measured at a time.

    What is compared is the time that 99 of 100 calls keep within, in the middle one of
    many short spells: what else the machine does comes in bursts, and spoils some.

    Args:
        rest: seconds before each spell with nothing frozen: as long as those who ask what
            hangs are waited for.
        ratio: the most that it may be with something frozen, to without.
        slack: seconds on top.
        late: seconds that an answer may take beyond its deadline: two cores, and a client in
            Python.
    """

    rounds: int
    reads: int
    verbs: int
    rest: float
    ratio: float
    slack: float
    late: float


# A single spell only shows that no call waits for the hung part, which would take seconds.
SHORT = Plan(rounds=1, reads=100, verbs=10, rest=0.0, ratio=2.0, slack=1.5, late=3.0)
FULL = Plan(rounds=10, reads=300, verbs=40, rest=_DEADLINE, ratio=1.2, slack=0.001, late=0.5)
_SPELLS = 2  # of each round: what is frozen is slow at first, and then known to be lost

_Spells = dict[str, list[list[float]]]


@dataclass
class _Times:
    """Seconds that calls took in each spell, with nothing frozen and with it."""

    usual: _Spells = field(default_factory=dict)
    frozen: _Spells = field(default_factory=dict)

    def check(self, plan: Plan) -> str:
        figures = []
        for what, usual in self.usual.items():
            before, during = _p99(usual), _p99(self.frozen[what])
            figures.append(
                f"{what} p50 {_ms(_p50(usual))} → {_ms(_p50(self.frozen[what]))} ms, "
                f"p99 {_ms(before)} → {_ms(during)} ms ({during / before:.2f}, "
                f"{len(usual)} times {len(usual[0])})"
            )
            assert during <= before * plan.ratio + plan.slack, figures
        return "; ".join(figures)


@dataclass
class _Ends:
    """How calls to what hangs ended: with which reason, and after how many seconds.

    Args:
        late: seconds that one may take beyond its deadline.
    """

    late: float
    reasons: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0

    def take(self, call: Callable[[], object]) -> None:
        begin = time.monotonic()
        try:
            call()
            reason = "OK"
        except proa.Error as error:
            reason = error.reason or error.code().name
        took = time.monotonic() - begin
        self.slowest = max(self.slowest, took)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        assert took < _DEADLINE + self.late, f"{reason} after {took:.2f} s"


def frozen_dockerd(setting: Setting, plan: Plan, _seed: int) -> str:
    """Freeze dockerd: domains are unharmed."""

    def hung(client: proa.Client) -> list[Callable[[], object]]:
        return [
            lambda: client.resources.PauseResource(v1.PauseResourceRequest(id="container/c0")),
            lambda: client.images.ListImages(v1.ListImagesRequest()),
            lambda: client.resources.ListResources(v1.ListResourcesRequest()),
            lambda: client.containers.CreateContainer(
                v1.CreateContainerRequest(spec=v1.ContainerSpec(image=IMAGE))
            ),
        ]

    return _frozen(setting, plan, "domain", hung, lambda: _stopped(setting.dockerd))


def frozen_libvirtd(setting: Setting, plan: Plan, _seed: int) -> str:
    """Freeze libvirtd: containers are unharmed."""

    def hung(client: proa.Client) -> list[Callable[[], object]]:
        return [
            lambda: client.resources.PauseResource(v1.PauseResourceRequest(id="domain/d0")),
            lambda: client.volumes.ListVolumes(v1.ListVolumesRequest()),
            lambda: client.resources.ListResources(v1.ListResourcesRequest()),
            lambda: client.domains.GetDomainXml(v1.GetDomainXmlRequest(id="domain/d0")),
        ]

    return _frozen(setting, plan, "container", hung, lambda: _stopped(setting.libvirtd))


def frozen_container(setting: Setting, plan: Plan, _seed: int) -> str:
    """Freeze one container with its shim: the other containers are unharmed."""

    def hung(client: proa.Client) -> list[Callable[[], object]]:
        victim = "container/victim"
        return [
            lambda: client.resources.PauseResource(v1.PauseResourceRequest(id=victim)),
            lambda: client.resources.StopResource(
                v1.StopResourceRequest(id=victim, mode=v1.STOP_MODE_FORCE)
            ),
            lambda: client.resources.GetResource(v1.GetResourceRequest(id=victim)),
        ]

    with setting.client() as client:
        id = _container(client, "victim")
        try:
            return _frozen(setting, plan, "container", hung, lambda: _hanging(setting, id))
        finally:
            _remove(client, id)


def _frozen(
    setting: Setting,
    plan: Plan,
    kind: str,
    hung: Callable[[proa.Client], list[Callable[[], object]]],
    freeze: Callable[[], AbstractContextManager[object]],
) -> str:
    times, ends = _Times(), _Ends(plan.late)
    threads: list[int] = []
    recovered: list[float] = []
    with setting.client() as client, setting.client(timeout=_DEADLINE) as impatient:
        ids = {"container": _container(client, "c0"), "domain": _domain(client, "d0")}
        id = ids[kind]
        try:
            _measure(client, id, plan, {})  # the first calls of all take longer
            before = Usage.of(setting.pid)
            for _ in range(plan.rounds):
                for _ in range(_SPELLS):
                    time.sleep(plan.rest)
                    _measure(client, id, plan, times.usual)
                with freeze():
                    for _ in range(_SPELLS):
                        _ask_what_hangs(hung(impatient), ends)
                        threads.append(Usage.of(setting.pid).threads)
                        _measure(client, id, plan, times.frozen)
                        threads.append(Usage.of(setting.pid).threads)
                recovered.append(
                    wait_through_outages(lambda: _serves(client, ids), "all is served again")
                )
            after = Usage.of(setting.pid)
        finally:
            for id in ids.values():
                _remove(client, id)
    # Threads come with connections to an engine, up to a bound, which the rounds must not move.
    assert max(threads) <= before.threads + 24, (before.threads, threads)
    early, late = threads[: len(threads) // 2], threads[len(threads) // 2 :]
    assert max(late) <= max(early) + 2, threads
    return (
        f"{kind}s: {times.check(plan)}; calls to what hangs: {ends.reasons}, the slowest took "
        f"{ends.slowest:.2f} s of {_DEADLINE:.0f}; threads {before.threads}, frozen at most "
        f"{max(threads)}; served again after at most {max(recovered):.2f} s; {before} → {after}"
    )


def _serves(client: proa.Client, ids: dict[str, str]) -> bool:
    """Return whether both kinds can be changed; both are running afterwards."""
    try:
        for id in ids.values():
            with suppress(proa.IllegalState):  # an abandoned pause may have taken effect
                client.resources.StartResource(v1.StartResourceRequest(id=id))
            client.resources.PauseResource(v1.PauseResourceRequest(id=id))
            client.resources.ResumeResource(v1.ResumeResourceRequest(id=id))
    except (proa.Aborted, proa.IllegalState):
        return False
    return set(ids.values()) <= set(listed(client))


def _ask_what_hangs(calls: list[Callable[[], object]], ends: _Ends) -> None:
    with ThreadPoolExecutor(_CALLERS) as pool:
        for asked in [pool.submit(ends.take, calls[n % len(calls)]) for n in range(_CALLERS)]:
            asked.result()


def _measure(client: proa.Client, id: str, plan: Plan, times: _Spells) -> None:
    """Time reads and verbs, one after the other."""
    kind = v1.RESOURCE_KIND_CONTAINER if len(id) == 64 else v1.RESOURCE_KIND_DOMAIN
    resources = client.resources
    which = v1.ResourceFilter(kinds=[kind])

    def verb(number: int) -> None:
        if number % 2:
            resources.ResumeResource(v1.ResumeResourceRequest(id=id))
        else:
            resources.PauseResource(v1.PauseResourceRequest(id=id))

    def read(number: int) -> None:
        if number % 2:
            resources.ListResources(v1.ListResourcesRequest(filter=which))
        else:
            resources.GetResource(v1.GetResourceRequest(id=id))

    for what, call, count in (("reads", read, plan.reads), ("verbs", verb, plan.verbs)):
        spell: list[float] = []
        for number in range(count):
            begin = time.perf_counter()
            call(number)
            spell.append(time.perf_counter() - begin)
        times.setdefault(what, []).append(spell)


@contextmanager
def _stopped(engine: object) -> Iterator[None]:
    engine.signal(signal.SIGSTOP)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        engine.signal(signal.SIGCONT)  # type: ignore[attr-defined]


@contextmanager
def _hanging(setting: Setting, id: str) -> Iterator[None]:
    """Freeze a container's process and its shim."""
    pid = setting.docker("GET", f"/containers/{id}/json")["State"]["Pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    shim = int(status.split("PPid:")[1].split()[0])
    assert b"containerd-shim" in Path(f"/proc/{shim}/cmdline").read_bytes()
    for each in (shim, pid):
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in (pid, shim):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)
        # Abandoned calls may still take effect.
        threading.Event().wait(1)
        with setting.client() as client:
            resource = client.resources.GetResource(v1.GetResourceRequest(id=id)).resource
            if resource.state != v1.RESOURCE_STATE_RUNNING:
                client.resources.StartResource(v1.StartResourceRequest(id=id))


def _container(client: proa.Client, name: str) -> str:
    spec = v1.ContainerSpec(image=IMAGE, name=name, command=["sleep", "86400"])
    return client.containers.CreateContainer(
        v1.CreateContainerRequest(spec=spec, start=True)
    ).resource.id


def _domain(client: proa.Client, name: str) -> str:
    spec = v1.DomainSpec(name=name, memory_bytes=32 << 20, diskless=True, networkless=True)
    return client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec, start=True)).resource.id


def _remove(client: proa.Client, id: str) -> None:
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=id, force=True, allow_missing=True))


def _p99(spells: list[list[float]]) -> float:
    return statistics.median(sorted(spell)[math.ceil(len(spell) * 0.99) - 1] for spell in spells)


def _p50(spells: list[list[float]]) -> float:
    return statistics.median(statistics.median(spell) for spell in spells)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
