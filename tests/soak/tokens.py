"""Resume tokens: nothing is lost or repeated, whatever happens in between."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

import proa
from integration.daemon.conftest import Daemon
from proa import v1
from soak.external_actors import DockerExternalActor, LibvirtExternalActor
from soak.setting import IMAGE, ONCE, Setting, wait_through_outages

KEPT = 8192  # entries, by the daemon
_FILLERS = 8

Change = Callable[[int], None]
"""Makes so many changes."""


@dataclass
class History:
    """The events of a watch, and the tokens to resume after each."""

    entries: list[tuple[int, int, str, int]] = field(default_factory=list)
    tokens: list[tuple[str, int]] = field(default_factory=list)
    """Each token, with how many entries came before it."""

    def take(self, response: v1.WatchResourcesResponse) -> None:
        for event in response.events:
            change = event.change
            if event.HasField("change") and change.type != v1.CHANGE_TYPE_EXISTING:
                resource = change.resource
                self.entries.append((resource.revision, change.type, resource.id, resource.state))
            elif event.HasField("gap"):
                self.entries.append((0, 0, event.gap.engine.driver, event.gap.kind))
        if response.resume_token:
            self.tokens.append((response.resume_token, len(self.entries)))


class _Recorder:
    """Records the events of a watch, with one call or many."""

    def __init__(self, client: proa.Client, *, break_often: bool, chance: random.Random) -> None:
        self.history = History()
        self.calls = 0
        self._client = client
        self._break_often = break_often
        self._chance = chance
        self._over = threading.Event()
        self._call: Any = None

    def follow(self) -> None:
        token = ""
        while not self._over.is_set():
            self.calls += 1
            self._call = self._client.resources.WatchResources(
                v1.WatchResourcesRequest(resume_token=token)
            )
            left = self._chance.randint(1, 3) if self._break_often else -1
            with suppress(proa.Cancelled):
                for response in self._call:
                    self.history.take(response)
                    token = response.resume_token
                    left -= 1
                    if left <= 0 and token and self._break_often:
                        break
            self._call.cancel()

    def stop(self) -> None:
        self._over.set()
        self._call.cancel()


def tokens(
    daemon: Daemon, change: Change, *, changes: int, seed: int, fill: Change | None = None
) -> str:
    """Resume with tokens at once, later, too late, and after a restart of the daemon.

    Args:
        fill: makes changes faster, until the daemon has forgotten the first ones.
    """
    chance = random.Random(seed)
    with daemon.client(options=ONCE) as client, ThreadPoolExecutor() as pool:
        steady = _Recorder(client, break_often=False, chance=chance)
        restless = _Recorder(client, break_often=True, chance=chance)
        recorders = (steady, restless)
        running = [pool.submit(recorder.follow) for recorder in recorders]
        try:
            wait_through_outages(
                lambda: all(r.history.tokens for r in recorders), "both are synced"
            )
            change(changes)
            _settle(recorders, running)
            assert restless.history.entries == steady.history.entries
            later = _check_all(
                client, steady.history, chance.sample(steady.history.tokens[:-1], 20)
            )
            assert later == 0
            first = len(steady.history.entries)
            while fill is not None and len(steady.history.entries) < first + KEPT:
                fill(4000)
                _settle(recorders, running)
                assert restless.history.entries == steady.history.entries
            entries = steady.history.entries
            kept = [token for token in steady.history.tokens[:-1] if len(entries) - token[1] < KEPT]
            lost = [token for token in steady.history.tokens if len(entries) - token[1] > KEPT]
            assert _check_all(client, steady.history, chance.sample(kept, min(20, len(kept)))) == 0
            tried = chance.sample(lost, min(20, len(lost)))
            compacted = _check_all(client, steady.history, tried)
            assert compacted == len(tried)
            assert bool(tried) == (fill is not None)
        finally:
            for recorder in recorders:
                recorder.stop()
    assert daemon.stop() == 0
    daemon.start()
    with daemon.client(options=ONCE) as client:
        for token, _ in steady.history.tokens[-3:]:
            _check_compacted(client, token)
    return (
        f"{len(entries)} events: a watcher with {restless.calls} calls was told the same as one "
        f"with one; from {min(20, len(kept))} earlier places the rest came, from {compacted} that "
        "were compacted and after a restart REVISION_COMPACTED"
    )


def _settle(recorders: tuple[_Recorder, ...], running: list[Future[None]]) -> None:
    """Wait until nothing more comes, at either."""

    def lengths() -> list[int]:
        return [len(recorder.history.entries) for recorder in recorders]

    def quiet() -> bool:
        for recorded in running:
            assert not recorded.done(), recorded.exception()
        before = lengths()
        threading.Event().wait(0.5)
        now = lengths()
        return before == now and len(set(now)) == 1

    wait_through_outages(quiet, "both watchers have all")


def _check_all(client: proa.Client, history: History, places: list[tuple[str, int]]) -> int:
    """Resume at each place, check the events after it, and return how many places were too old."""
    too_old = 0
    for token, index in places:
        rest = History()
        wanted = history.entries[index:]
        call = client.resources.WatchResources(v1.WatchResourcesRequest(resume_token=token))
        try:
            while len(rest.entries) < len(wanted):
                rest.take(next(call))
            assert rest.entries == wanted
        except proa.OutOfRange:
            _check_compacted(client, token)
            too_old += 1
        finally:
            call.cancel()
    return too_old


def _check_compacted(client: proa.Client, token: str) -> None:
    with pytest.raises(proa.OutOfRange) as caught:
        next(client.resources.WatchResources(v1.WatchResourcesRequest(resume_token=token)))
    assert caught.value.reason == "REVISION_COMPACTED"


def by_external_actors(setting: Setting, seed: int) -> Change:
    """Make external changes on both engines."""
    chance = random.Random(seed)
    docker = DockerExternalActor(setting, random.Random(chance.random()))
    libvirt = LibvirtExternalActor(setting, random.Random(chance.random()))

    def change(count: int) -> None:
        for _ in range(count):
            chance.choices((docker, libvirt), (1, 4))[0].change()

    return change


def by_calls(daemon: Daemon) -> Change:
    """Make changes through the daemon, the fastest way."""
    ids: list[str] = []

    def make(number: int) -> str:
        spec = v1.ContainerSpec(
            image=IMAGE, name=f"proa-test-t{number}", command=["sleep", "86400"]
        )
        request = v1.CreateContainerRequest(spec=spec, start=True)
        with daemon.client() as client:
            return client.containers.CreateContainer(request).resource.id

    def change(count: int) -> None:
        def pause_and_resume(id: str) -> None:
            with daemon.client() as client:
                for _ in range(count // _FILLERS // 4):  # each call is reported twice
                    client.resources.PauseResource(v1.PauseResourceRequest(id=id))
                    client.resources.ResumeResource(v1.ResumeResourceRequest(id=id))

        if not ids:  # not before: actors take whatever there is for theirs
            ids.extend(map(make, range(_FILLERS)))
        with ThreadPoolExecutor(_FILLERS) as pool:
            list(pool.map(pause_and_resume, ids))

    return change
