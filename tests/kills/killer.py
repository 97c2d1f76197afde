"""Where a daemon dies: at a point of its journal, or at a call to an engine."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import libvirt

from proad.drivers.docker.http.api import Api

P = ParamSpec("P")
T = TypeVar("T")

CHECKPOINTS = ("before intent", "after intent", "before answer", "after answer")
ENGINE_CALL, ENGINE_ANSWER = "engine call", "engine answer"
# The last is the test's own: the daemon is killed when its reply has come.
REPLY = "reply"
POINTS = (*CHECKPOINTS, ENGINE_CALL, ENGINE_ANSWER, REPLY)

# What changes something, of libvirt's methods that the driver uses.
_CHANGING: dict[type[Any], tuple[str, ...]] = {
    libvirt.virConnect: ("defineXMLFlags", "createXML", "storagePoolDefineXML"),
    libvirt.virDomain: (
        "create",
        "createWithFlags",
        "destroy",
        "shutdown",
        "reboot",
        "reset",
        "suspend",
        "resume",
        "undefine",
        "undefineFlags",
        "setAutostart",
        "setMetadata",
        "setMemoryFlags",
        "setVcpusFlags",
        "rename",
        "managedSave",
        "managedSaveRemove",
        "snapshotCreateXML",
        "revertToSnapshot",
    ),
    libvirt.virStoragePool: ("createXML",),
    libvirt.virStorageVol: ("delete",),
    libvirt.virDomainSnapshot: ("delete",),
}


@dataclass(frozen=True)
class Order:
    """When the daemon is to die.

    Attributes:
        point: one of POINTS.
        call: at which call to an engine that changes something, from the intent on.
        delay: of an ENGINE_CALL, seconds from its begin.
    """

    point: str
    call: int = 1
    delay: float = 0.0

    def write(self, file: Path) -> None:
        """Give the order; it is executed once."""
        file.write_text(json.dumps(asdict(self)))


class Killer:
    """Kills its own process as the order in a file says."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._armed: Order | None = None
        self._calls = 0
        self._lock = threading.Lock()

    def checkpoint(self, name: str) -> None:
        """Die here if the order says so."""
        try:
            order = Order(**json.loads(self._file.read_text()))
        except FileNotFoundError:
            return
        if order.point == name:
            self._die()
        if name == "after intent" and order.point in {ENGINE_CALL, ENGINE_ANSWER}:
            self._armed, self._calls = order, 0

    def watch_engines(self) -> None:
        """Have every call to an engine that changes something pass this killer."""
        call = Api.call

        @wraps(call)
        def watched(api: Api, method: str, path: str, **options: Any) -> Any:
            if method == "GET":
                return call(api, method, path, **options)
            with self._calling():
                return call(api, method, path, **options)

        setattr(Api, call.__name__, watched)
        for cls, names in _CHANGING.items():
            for name in names:
                setattr(cls, name, self._watched(getattr(cls, name)))

    def _watched(self, method: Callable[P, T]) -> Callable[P, T]:
        @wraps(method)
        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            with self._calling():
                return method(*args, **kwargs)

        return watched

    @contextmanager
    def _calling(self) -> Iterator[None]:
        order = self._counted()
        if order is None:
            yield
            return
        if order.point == ENGINE_CALL:
            threading.Timer(order.delay, self._die).start()
        try:
            yield
        finally:
            self._die()

    def _counted(self) -> Order | None:
        """Count a call to an engine; return the order if the daemon is to die at this one."""
        with self._lock:
            if self._armed is None:
                return None
            self._calls += 1
            return self._armed if self._calls == self._armed.call else None

    def _die(self) -> None:
        self._file.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
