"""Feeds odd answers of engines to every view, and the results through core and encoding."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import libvirt

from answers.mutate import odd_bytes, odd_json
from answers.scripted_domain import LEASES, ScriptedDomain
from proa import v1
from proad.core.inventory.history import ChangeHistory
from proad.core.inventory.store import Store
from proad.core.listing import OrderBy
from proad.drivers.docker import events, full_view, images, reader
from proad.drivers.docker import stats as docker_stats
from proad.drivers.docker.http.api import Answer
from proad.drivers.libvirt import snapshots
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.full_view import leases_of
from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.stats import StatsCollector
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.tolerant import Omissions, Value
from proad.errors import ProaError
from proad.model import EngineRef, Resource, ResourceFilter, ResourceView, VirtType
from proad.rpc.encode import encode
from proad.rpc.encodings import first_field

RECORDED = Path(__file__).parent / "recorded"
ENGINE = EngineRef("local", "odd")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
_HOST = HostFacts(virt_type=VirtType.QEMU, architecture="x86_64", rng=True)
_ORDER_BY = OrderBy("create_time desc, name")
_FILTER = ResourceFilter(labels={"x": "y"}, name_prefix="p")


class _NoCatalog:
    """A catalog without volumes: records are no engine answers."""

    def owns(self, *_: object) -> bool:
        return False


@dataclass
class Report:
    """The counts of a feed.

    Attributes:
        answers: how many.
        slowest: processor time in seconds that the slowest one took, by step.
    """

    answers: int = 0
    slowest: dict[str, float] = field(default_factory=dict)

    def add(self, step: str, seconds: float) -> None:
        """Note what a step took."""
        self.slowest[step] = max(seconds, self.slowest.get(step, 0.0))


class Feed:
    """A stream of odd answers, the same for the same seed.

    What raises anything but an error of ours fails, and so does a value for which the
    contract has no room.
    """

    def __init__(self, seed: int) -> None:
        self.report = Report()
        self._random = Random(seed)
        self._docker = recorded("docker")
        self._libvirt_domains = recorded("libvirt")["domains"]
        self._omissions = Omissions("odd")
        self._store = Store(ChangeHistory())
        self._spent = 0.0
        self._stats = StatsCollector(cast(Connection, None), self._omissions)
        self._views: Mapping[str, Callable[[], Iterator[Any]]] = {
            "docker list": self._docker_list,
            "docker inspect": self._docker_inspect,
            "docker stats": self._docker_stats,
            "docker event": self._docker_event,
            "docker images": self._docker_images,
            "docker image": self._docker_image,
            "libvirt domain": self._libvirt,
        }

    def run(self, answers: int) -> Report:
        """Feed at least this many odd answers, to the views in turn."""
        while self.report.answers < answers:
            for name, view in self._views.items():
                self._spent = 0.0
                begin = time.thread_time()
                try:
                    values = list(view())
                except ProaError:  # the whole is not JSON, which raises an error
                    values = []
                read = time.thread_time()
                for value in values:
                    self._through(value)
                self.report.add(name, read - begin - self._spent)
                self.report.add(f"{name}, core and encoding", time.thread_time() - read)
                self.report.answers += 1
        return self.report

    def _through(self, value: Any) -> None:
        """Pass a value through the steps of the event loop."""
        match value:
            case Resource():
                with self._store.reading() as begun:
                    self._store.apply(ENGINE, value, begun, detail=value)
                entry = self._store.entries.get(ENGINE, value.id)
                assert entry is not None
                _FILTER.matches(entry.published)
                _ORDER_BY.position(entry.published)
                full = self._store.in_full(entry, None)
                assert full is not None
                v1.GetResourceResponse.FromString(first_field(full))
            case _ if (cls := getattr(v1, type(value).__name__, None)) is not None:
                encode(cls, value).SerializeToString()
            case _:
                assert value is not None

    def _odd(self, answer: Any) -> Answer:
        begin = time.thread_time()
        body = odd_bytes(odd_json(answer, self._random), self._random)
        self._spent = time.thread_time() - begin
        return Answer(200, body, omissions=self._omissions)

    def _one(self, what: str) -> tuple[str, Answer]:
        chosen = self._random.choice(self._docker[what])
        return chosen.get("Id") or "ab" * 32, self._odd(chosen)

    def _docker_list(self) -> Iterator[Any]:
        yield from reader.summaries_of(self._odd(self._docker["list"])).values()

    def _docker_inspect(self) -> Iterator[Any]:
        id, answer = self._one("inspect")
        yield full_view.full(
            answer.value(id), id, self._odd(answer.value(id).raw).value()["Config"]
        )

    def _docker_stats(self) -> Iterator[Any]:
        id, answer = self._one("stats")
        sample = docker_stats.sample(id, answer.value(id))
        yield from () if sample is None else (sample,)

    def _docker_event(self) -> Iterator[Any]:
        _, answer = self._one("events")
        event = events.translate(answer.value())
        yield from () if event is None else (event,)

    def _docker_images(self) -> Iterator[Any]:
        yield from images.listed(self._odd(self._docker["images"]))

    def _docker_image(self) -> Iterator[Any]:
        id, answer = self._one("image")
        yield images.full(answer.value(id))

    def _libvirt(self) -> Iterator[Any]:
        """Pass one odd domain through all views of its answers."""
        begin = time.thread_time()
        scripted = ScriptedDomain(self._random.choice(self._libvirt_domains), self._random)
        self.report.answers += scripted.prepare() - 1  # the caller counts one
        self._spent = time.thread_time() - begin
        domain, reader = (
            cast(Any, scripted),
            DomainReader(cast(VolumeCatalog, _NoCatalog()), lambda _: _HOST, self._omissions),
        )
        yield from reader.all(domain, ResourceView.SUMMARY)  # raises for no answer
        yield from _unless_refused(lambda: [reader.full(domain)])
        sample = self._stats.sample(scripted.id, scripted.getStats(), NOW)
        yield from () if sample is None else (sample,)
        yield from _unless_refused(lambda: snapshots.list_all(domain, self._omissions))
        yield from _unless_refused(lambda: [snapshots.get(domain, "one", self._omissions)])
        yield leases_of(Value(odd_json(LEASES, self._random), self._omissions))


def _unless_refused(read: Callable[[], list[Any]]) -> list[Any]:
    """Return the result of a driver's read; None where the driver raises its own error."""
    try:
        return read()
    except (ProaError, libvirt.libvirtError):
        return []


def recorded(engine: str) -> dict[str, Any]:
    """Return a recorded answer of an engine."""
    return dict(json.loads((RECORDED / f"{engine}.json").read_text()))
