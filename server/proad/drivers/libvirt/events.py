"""Events of domains, from libvirt's thread to the asyncio loop.

libvirt 9 has no events for autostart, for the removal of a saved state, for hotplugged
processors, and for sizes of the next start: `poller` finds those changes.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import libvirt

from proad.drivers.libvirt.xml.metadata import NAMESPACE
from proad.model import EngineEvent


class EventKind(StrEnum):
    """The subject of an event."""

    LIFECYCLE = "LIFECYCLE"
    REBOOT = "REBOOT"
    METADATA = "METADATA"
    AGENT = "AGENT"
    BALLOON = "BALLOON"
    # A device, a medium or the file of a disk was added, removed or changed.
    DEVICE = "DEVICE"


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """An event of a domain: a reason to read the domain again, never a state.

    Attributes:
        id: UUID of the domain.
        kind: the subject.
        event: for LIFECYCLE, libvirt's `virDomainEventType`.
        detail: for LIFECYCLE, libvirt's detail of that type.
        foreign: whether the event is about metadata of another program.
    """

    id: str
    kind: EventKind
    event: int = -1
    detail: int = -1
    foreign: bool = False

    @property
    def state_only(self) -> bool:
        """Whether nothing but the state has changed: not size, name, labels or lifetime."""
        if self.kind is EventKind.LIFECYCLE:
            return (self.event, self.detail) in _STATE_ALONE
        return self.kind in {EventKind.REBOOT, EventKind.AGENT} or self.foreign

    def translated(self) -> EngineEvent:
        """Return the event in the form of the ports."""
        if self.kind is EventKind.LIFECYCLE:
            renamed = self.detail == libvirt.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED
            undefined = self.event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED
            return EngineEvent(
                id=self.id,
                removed=undefined and not renamed,
                ended=self.event in _ENDS,
                reconfigured=self.event == libvirt.VIR_DOMAIN_EVENT_DEFINED,
            )
        # All that a balloon changes is in the SUMMARY.
        silent = self.kind in {EventKind.REBOOT, EventKind.BALLOON} or self.foreign
        return EngineEvent(id=self.id, reconfigured=not silent)


_ENDS = frozenset({libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_CRASHED})
# Events that change nothing but the state: ordinary pauses, resumes, and the end of a guest's
# shutdown. A revert to a snapshot has other details.
_STATE_ALONE = frozenset(
    {
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED),
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR),
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG),
        (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED),
        (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED),
        (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST),
        (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST),
    }
)


class DomainEvents:
    """Distributes events to waiters, on the asyncio loop."""

    def __init__(self) -> None:
        self._watches: dict[str, set[asyncio.Queue[DomainEvent]]] = {}

    def publish(self, event: DomainEvent) -> None:
        """Put an event into the queues for its domain."""
        for queue in self._watches.get(event.id, ()):
            queue.put_nowait(event)

    @contextmanager
    def watch(self, id: str) -> Iterator[asyncio.Queue[DomainEvent]]:
        """Collect the events of one domain in a queue while the block runs."""
        queue: asyncio.Queue[DomainEvent] = asyncio.Queue()
        self._watches.setdefault(id, set()).add(queue)
        try:
            yield queue
        finally:
            self._watches[id].discard(queue)
            if not self._watches[id]:
                del self._watches[id]


Publish = Callable[[DomainEvent], None]


def subscribe(connection: libvirt.virConnect, publish: Publish) -> list[int]:
    """Register for the events of all domains; return libvirt's numbers of the callbacks.

    `publish` is called on libvirt's event thread and must not call libvirt: that thread would
    have to read the answer.
    """

    def lifecycle(
        _c: object, domain: libvirt.virDomain, event: int, detail: int, _: object
    ) -> None:
        publish(DomainEvent(domain.UUIDString(), EventKind.LIFECYCLE, event, detail))

    def metadata(
        _c: object, domain: libvirt.virDomain, _t: int, uri: str | None, _: object
    ) -> None:
        # Title and description have no namespace.
        foreign = uri is not None and uri != NAMESPACE
        publish(DomainEvent(domain.UUIDString(), EventKind.METADATA, foreign=foreign))

    def plain(kind: EventKind) -> Callable[..., None]:
        def callback(_c: object, domain: libvirt.virDomain, *_: object) -> None:
            publish(DomainEvent(domain.UUIDString(), kind))

        return callback

    wanted = {
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: lifecycle,
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: plain(EventKind.REBOOT),
        libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: metadata,
        libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: plain(EventKind.AGENT),
        libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE: plain(EventKind.BALLOON),
        **dict.fromkeys(_DEVICES, plain(EventKind.DEVICE)),
    }
    return [
        connection.domainEventRegisterAny(None, number, callback, None)
        for number, callback in wanted.items()
    ]


_DEVICES = (
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
)

_once = threading.Lock()
_started: list[threading.Thread] = []  # libvirt has one event loop per process


def start_event_loop() -> None:
    """Start libvirt's event loop on a thread of its own, once per process.

    It must run before the first connection opens: keepalive and events need it. Also stop
    libvirt from printing errors to stderr, since they are raised.
    """
    with _once:
        if _started:
            return
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        thread = threading.Thread(target=_run, name="libvirt-events", daemon=True)
        thread.start()
        _started.append(thread)


def _run() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
