"""Events of domains: from libvirt's thread to whoever waits on the asyncio loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import libvirt


class EventKind(StrEnum):
    """What an event is about."""

    LIFECYCLE = "LIFECYCLE"
    REBOOT = "REBOOT"
    METADATA = "METADATA"
    AGENT = "AGENT"
    BALLOON = "BALLOON"


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something happened to a domain. A hint to look again, never a state.

    Attributes:
        id: UUID of the domain.
        kind: what it is about.
        event: for LIFECYCLE, libvirt's `virDomainEventType`.
    """

    id: str
    kind: EventKind
    event: int = -1


class DomainEvents:
    """Hands events to watches; all of it on the asyncio loop."""

    def __init__(self) -> None:
        self._watches: dict[str, set[asyncio.Queue[DomainEvent]]] = {}

    def publish(self, event: DomainEvent) -> None:
        """Hand an event to those who watch its domain."""
        for queue in self._watches.get(event.id, ()):
            queue.put_nowait(event)

    @contextmanager
    def watch(self, id: str) -> Iterator[asyncio.Queue[DomainEvent]]:
        """Collect the events of one domain for as long as the block lasts."""
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
    """Register for the events of all domains and give the callbacks' numbers.

    `publish` is called on libvirt's thread, where nothing may call libvirt: that
    thread is the one that would have to read the answer.
    """

    def lifecycle(_c: object, domain: libvirt.virDomain, event: int, *_: object) -> None:
        publish(DomainEvent(domain.UUIDString(), EventKind.LIFECYCLE, event))

    def plain(kind: EventKind) -> Callable[..., None]:
        def callback(_c: object, domain: libvirt.virDomain, *_: object) -> None:
            publish(DomainEvent(domain.UUIDString(), kind))

        return callback

    wanted = {
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: lifecycle,
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: plain(EventKind.REBOOT),
        libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: plain(EventKind.METADATA),
        libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: plain(EventKind.AGENT),
        libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE: plain(EventKind.BALLOON),
    }
    return [
        connection.domainEventRegisterAny(None, number, callback, None)
        for number, callback in wanted.items()
    ]


_once = threading.Lock()
_started: list[threading.Thread] = []  # libvirt wants one event loop for each process


def start_event_loop() -> None:
    """Start libvirt's event loop on its own thread, once for each process.

    It must come before the first connection; keepalive and events need it. It also
    stops libvirt from printing every error to stderr: they are raised anyway.
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
