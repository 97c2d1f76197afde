"""The delay from a change that is not the daemon's to a watcher."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import grpc

import proa
from bench.bare import BareDocker, BareLibvirt, DockerEvents
from bench.daemon import Daemon
from bench.interleaved import p50, p95
from bench.load import Load
from bench.plan import Plan
from bench.report import Row, Target
from proa import v1

_PATIENCE = 5.0
_NOTE = (
    "Resources are paused and resumed with the engine's own calls, one after the other. From "
    "the engine's event, as this process gets it over a connection of its own, to the change "
    "in a WatchResources stream of the Python client in this same process; 95 of 100 are "
    "faster. One that never comes counts as a miss."
)
_STATES = {v1.RESOURCE_STATE_PAUSED: "paused", v1.RESOURCE_STATE_RUNNING: "running"}


class _Sightings:
    """When a resource was first seen in a state, since it was last forgotten."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], float] = {}
        self._changed = threading.Condition()

    def saw(self, id: str, state: str, when: float) -> None:
        with self._changed:
            self._times.setdefault((id, state), when)
            self._changed.notify_all()

    def forget(self) -> None:
        with self._changed:
            self._times.clear()

    def wait(self, id: str, state: str) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: (id, state) in self._times, _PATIENCE):
                raise TimeoutError(f"{id} was not seen {state} within {_PATIENCE:.0f} s")
            return self._times[id, state]


def external_changes(plan: Plan, load: Load, daemon: Daemon, engine: BareLibvirt) -> Iterator[Row]:
    """Pause and resume containers and domains, and wait for a watcher to hear of it."""
    told, heard = _Sightings(), _Sightings()
    with ExitStack() as stack:
        stack.enter_context(_watching(daemon.client, heard.saw))
        events = DockerEvents(told.saw)
        stack.callback(events.close)
        stack.callback(engine.on_state(told.saw))
        bare = BareDocker()
        stack.callback(bare.close)

        def change_container(id: str, state: str) -> None:
            bare("POST", f"/containers/{id}/{'pause' if state == 'paused' else 'unpause'}")

        def change_domain(id: str, state: str) -> None:
            domain = load.domain(id)
            domain.suspend() if state == "paused" else domain.resume()

        for kind, ids, change in (
            ("container", load.running_containers, change_container),
            ("domain", load.running_domains, change_domain),
        ):
            delays = list(_delays(plan.external_changes, ids, change, told, heard))
            yield Row(
                work=f"external change → watcher, {kind}, p95",
                ours=f"p50 {p50(delays):.1f} ms",
                figure=p95(delays),
                unit="ms",
                target=Target("≤", 50),
                note=_NOTE,
            )


def _delays(
    count: int,
    ids: list[str],
    change: Callable[[str, str], None],
    told: _Sightings,
    heard: _Sightings,
) -> Iterator[float]:
    """Change one resource after the other, and yield the seconds from event to watcher."""
    for number in range(count):
        id = ids[number % len(ids)]
        for state in ("paused", "running"):
            # At no fixed distance, so that no timer of the daemon keeps step with it.
            time.sleep(random.uniform(0.01, 0.05))
            told.forget()
            heard.forget()
            change(id, state)
            yield heard.wait(id, state) - told.wait(id, state)


@contextmanager
def _watching(client: proa.Client, on_state: Callable[[str, str, float], None]) -> Iterator[None]:
    """Follow all resources, from when the initial state is complete."""
    stream = client.resources.WatchResources(v1.WatchResourcesRequest())
    synced = threading.Event()
    ended: list[Exception] = []

    def follow() -> None:
        try:
            for response in stream:
                now = time.perf_counter()
                for event in response.events:
                    if event.bookmark.synced:
                        synced.set()
                    state = _STATES.get(event.change.resource.state)
                    if event.change.type == v1.CHANGE_TYPE_MODIFIED and state:
                        on_state(event.change.resource.id, state, now)
        except (grpc.RpcError, proa.Error) as error:
            ended.append(error)
            synced.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        if not synced.wait(30):
            raise TimeoutError("a watch was not synced within 30 s")
        if ended:
            raise ended[0]
        yield
    finally:
        stream.cancel()
        thread.join(5)
