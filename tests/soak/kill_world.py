"""Private engines that are killed, and a folder that keeps what was done to them."""

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, fields
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

import libvirt

from engine_processes import end_processes
from eventually import wait_until
from guest.media import import_image
from integration.docker.private_engine import PrivateEngine
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from soak.bare import Docker, RefusedError
from soak.kill_slots import Bare

T = TypeVar("T")

AWAY = (HTTPException, RefusedError, libvirt.libvirtError, OSError)


@dataclass(frozen=True)
class Plan:
    """How much is done: mutations, and kills of daemon, engines and clients amid them."""

    mutations: int
    daemon_kills: int
    engine_kills: int
    dropped_clients: int
    workers: int = 4


@dataclass
class Tally:
    """What was done so far; kept in a file."""

    mutations: int = 0
    daemon_kills: int = 0
    engine_kills: int = 0
    dropped_clients: int = 0
    repeats: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "Tally":
        if not file.exists():
            return cls()
        kept = json.loads(file.read_text())
        return cls(**kept | {"outcomes": Counter(kept["outcomes"])})

    def write(self, file: Path) -> None:
        aside = file.with_suffix(".new")
        # Not by asdict, which makes nonsense of a Counter.
        aside.write_text(json.dumps({each.name: getattr(self, each.name) for each in fields(self)}))
        aside.replace(file)


class World:
    """Engines and daemons that are killed, and what is known of them."""

    def __init__(self, home: Path, plan: Plan, seed: int) -> None:
        self.home, self.plan, self.seed = home, plan, seed
        self.file = home / "tally.json"
        self.tally = Tally.read(self.file)
        self.lock = threading.Lock()
        self.over = threading.Event()
        # Engines that are up again after a kill may have other states than before.
        self.engine_epoch = 0
        self.pool_path = home / "pool"
        for name in ("docker", "libvirt", "pool", "daemons"):
            (home / name).mkdir(exist_ok=True)
        self.dockerd = PrivateEngine(home / "docker")
        self.libvirtd = PrivateLibvirtd(home / "libvirt")
        self.docker = Docker(self.dockerd.url)
        self.bare = Bare(self.docker, lambda: libvirt.open(self.libvirtd.uri), self.pool_path)

    def patiently(self, look: Callable[[], T]) -> T:
        """Return what is seen when the engines answer."""
        seen: list[T] = []

        def answered() -> bool:
            seen.append(look())
            return True

        wait_until(answered, "the engines answer", within=120, every=0.1, tolerate=AWAY)
        return seen[-1]

    def count(self, **more: int) -> None:
        with self.lock:
            for name, number in more.items():
                setattr(self.tally, name, getattr(self.tally, name) + number)
            self.tally.write(self.file)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Have all threads end with the block, however the block ends."""
        try:
            yield
        finally:
            self.over.set()

    def blame(self, what: str) -> None:
        """Note a broken promise."""
        with self.lock:
            self.tally.violations.append(what)
            self.tally.write(self.file)
        print(f"kills: {what}", flush=True)  # noqa: T201 - its output


def running(world: World) -> int:
    """Return how many requests have no end yet."""
    with closing(sqlite3.connect(world.home / "daemons/state/proa.db")) as database:
        rows = database.execute("select count(*) from requests where state = 'RUNNING'")
        return int(rows.fetchone()[0])


@contextmanager
def engines(world: World) -> Iterator[None]:
    libvirt.registerErrorHandler(lambda *_: None, None)
    for engine in ("docker", "libvirt"):  # of a run that was killed itself
        end_processes(world.home / engine)
        (world.home / engine / "pid").unlink(missing_ok=True)
    with ExitStack() as stack:
        world.dockerd.start()
        stack.callback(world.dockerd.stop)
        world.libvirtd.start()
        stack.callback(world.libvirtd.stop)
        world.patiently(world.docker.containers)
        import_image(world.dockerd.url)
        connection = world.patiently(world.bare.connect)
        with suppress(libvirt.libvirtError):
            connection.storagePoolDefineXML(
                "<pool type='dir'><name>kills</name>"
                f"<target><path>{world.pool_path}</path></target></pool>"
            )
        pool = connection.storagePoolLookupByName("kills")
        pool.setAutostart(1)
        if not pool.isActive():
            pool.create()
        connection.close()
        yield
