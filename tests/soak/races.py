"""Many calls at once on few resources."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import proa
from proa import v1
from soak.external_actors import DockerExternalActor, LibvirtExternalActor
from soak.serial import GONE, STOPPED, Call, final_states
from soak.setting import Setting, listed, wait_through_outages

_WEIGHTS = {"start": 6, "stop": 3, "pause": 5, "resume": 5, "delete": 1}


@dataclass(frozen=True)
class Plan:
    """How many resources of each kind there are, and calls on each."""

    resources: int
    calls: int
    rounds: int


SHORT = Plan(resources=2, calls=12, rounds=1)
FULL = Plan(resources=5, calls=20, rounds=10)


def races(setting: Setting, plan: Plan, seed: int) -> str:
    """Each answer is consistent with some serial order, and so is what is left."""
    chance = random.Random(seed)
    answers: Counter[str] = Counter()
    overlaps = 0
    with setting.client() as client:
        for _ in range(plan.rounds):
            calls = _race(client, plan, chance)
            for id, on_it in calls.items():
                ends = final_states(on_it, STOPPED)
                assert ends, f"no serial order of {sorted(on_it, key=lambda call: call.begin)}"
                assert _left(setting, client, id, ends), f"{id} is not {ends}"
                answers.update(call.answer for call in on_it)
                overlaps += sum(
                    a is not b and a.begin < b.end and b.begin < a.end for a in on_it for b in on_it
                )
                _clear(client, id)
    total = sum(answers.values())
    return (
        f"{total} calls on {2 * plan.resources} resources at a time, each overlapping "
        f"{overlaps / total:.1f} others on the same one: {dict(answers.most_common())}; "
        "each answer fits a serial order"
    )


def _race(client: proa.Client, plan: Plan, chance: random.Random) -> dict[str, list[Call]]:
    ids = [
        _make(client, kind, n) for kind in ("container", "domain") for n in range(plan.resources)
    ]
    history: dict[str, list[Call]] = {id: [] for id in ids}
    together = threading.Barrier(len(ids) * plan.calls)

    def call(id: str, verb: str, delay: float) -> None:
        together.wait()
        time.sleep(delay)
        begin = time.monotonic()
        answer = _do(client, verb, id)
        history[id].append(Call(verb, answer, begin, time.monotonic()))

    with ThreadPoolExecutor(len(ids) * plan.calls) as pool:
        running = []
        for id in ids:
            verbs = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=plan.calls)
            for verb in verbs:
                # Deletes come late, because they end the race.
                delay = chance.uniform(*((0.0, 1.0) if verb != "delete" else (0.7, 1.2)))
                running.append(pool.submit(call, id, verb, delay))
        for future in running:
            future.result()
    return history


def _make(client: proa.Client, kind: str, number: int) -> str:
    name = f"proa-test-race-{kind}{number}"
    if kind == "domain":
        spec = v1.DomainSpec(name=name, memory_bytes=32 << 20, diskless=True, networkless=True)
        return client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec)).resource.id
    container = v1.ContainerSpec(image="proa-test/busybox:1", name=name, command=["sleep", "86400"])
    return client.containers.CreateContainer(v1.CreateContainerRequest(spec=container)).resource.id


def _do(client: proa.Client, verb: str, id: str) -> str:
    """Make a call and return the state in its answer, or the reason of its error."""
    resources = client.resources
    try:
        match verb:
            case "start":
                answer: Any = resources.StartResource(v1.StartResourceRequest(id=id))
            case "stop":
                answer = resources.StopResource(
                    v1.StopResourceRequest(id=id, mode=v1.STOP_MODE_FORCE)
                )
            case "pause":
                answer = resources.PauseResource(v1.PauseResourceRequest(id=id))
            case "resume":
                answer = resources.ResumeResource(v1.ResumeResourceRequest(id=id))
            case _:
                resources.DeleteResource(v1.DeleteResourceRequest(id=id))
                return GONE
    except proa.Error as error:
        return error.reason
    return v1.ResourceState.Name(answer.resource.state).removeprefix("RESOURCE_STATE_")


def _left(setting: Setting, client: proa.Client, id: str, ends: set[str]) -> bool:
    """Return whether the list and the engine have the resource in one of the states."""
    there = listed(client)
    ours = v1.ResourceState.Name(there[id].state) if id in there else GONE

    def engine() -> str:
        chance = random.Random()
        truth = (
            DockerExternalActor(setting, chance).states()
            | LibvirtExternalActor(setting, chance).states()
        )
        return v1.ResourceState.Name(truth[id][1]) if id in truth else GONE

    wait_through_outages(lambda: engine() == ours, "the engine says the same", 30)
    return ours.removeprefix("RESOURCE_STATE_") in ends


def _clear(client: proa.Client, id: str) -> None:
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=id, force=True, allow_missing=True))
