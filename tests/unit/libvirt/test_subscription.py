"""Subscriptions: events translated from libvirt's, and sent to each subscriber."""

from collections.abc import AsyncIterator
from datetime import timedelta

import libvirt
import pytest

from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.events import DomainEvent, EventKind
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.subscription import Subscriptions
from proad.drivers.tolerant import Omissions
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent
from unit.libvirt.catalogs import HOST, local_catalog

ID = "00000000-0000-4000-8000-000000000001"


def lifecycle(event: int, detail: int = 0) -> DomainEvent:
    return DomainEvent(ID, EventKind.LIFECYCLE, event, detail)


@pytest.mark.parametrize(
    ("event", "flags"),
    [
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_DEFINED), {"reconfigured"}),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_UNDEFINED), {"removed"}),
        (
            lifecycle(
                libvirt.VIR_DOMAIN_EVENT_UNDEFINED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED
            ),
            set(),
        ),
        (
            lifecycle(libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED),
            set(),
        ),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_SUSPENDED), set()),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_STOPPED), {"ended"}),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_CRASHED), {"ended"}),
        (DomainEvent(ID, EventKind.METADATA), {"reconfigured"}),
        (DomainEvent(ID, EventKind.METADATA, foreign=True), set()),
        (DomainEvent(ID, EventKind.BALLOON), set()),
        (DomainEvent(ID, EventKind.REBOOT), set()),
        (DomainEvent(ID, EventKind.AGENT), {"reconfigured"}),
        (DomainEvent(ID, EventKind.DEVICE), {"reconfigured"}),
    ],
)
def test_hint_of_an_event_has_the_flags_of_its_meaning(event: DomainEvent, flags: set[str]):
    assert event.translated() == EngineEvent(id=ID, **dict.fromkeys(flags, True))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_SUSPENDED), True),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_RESUMED), True),
        (
            lifecycle(
                libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT
            ),
            False,
        ),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_STARTED), False),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_STOPPED), False),
        (lifecycle(libvirt.VIR_DOMAIN_EVENT_DEFINED), False),
        (DomainEvent(ID, EventKind.METADATA), False),
        (DomainEvent(ID, EventKind.METADATA, foreign=True), True),
        (DomainEvent(ID, EventKind.BALLOON), False),
        (DomainEvent(ID, EventKind.AGENT), True),
    ],
)
def test_state_only_is_true_of_events_that_change_nothing_else(
    event: DomainEvent, *, expected: bool
):
    assert event.state_only is expected


@pytest.fixture
async def subscriptions() -> AsyncIterator[Subscriptions]:
    connection = Connection(
        "test:///default", threads=1, on_event=lambda _: None, on_loss=lambda: None
    )
    await connection.start()
    with local_catalog() as catalog:
        reader = DomainReader(catalog, lambda _: HOST, Omissions("libvirt"))
        yield Subscriptions(connection, reader, timedelta(minutes=1))
    await connection.close()


async def test_publish_calls_each_subscriber(subscriptions: Subscriptions):
    ones: list[EngineEvent] = []
    others: list[EngineEvent] = []
    async with subscriptions.subscribed(ones.append):
        subscriptions.publish(EngineEvent(id=ID))
        async with subscriptions.subscribed(others.append):
            subscriptions.publish(EngineEvent(id=ID, removed=True))
        subscriptions.publish(EngineEvent(id=ID))
    assert ones == [EngineEvent(id=ID), EngineEvent(id=ID, removed=True), EngineEvent(id=ID)]
    assert others == [EngineEvent(id=ID, removed=True)]


async def test_end_fails_all_open_subscriptions(subscriptions: Subscriptions):
    async with (
        subscriptions.subscribed(lambda _: None) as one,
        subscriptions.subscribed(lambda _: None) as other,
    ):
        subscriptions.end("gone")
        for lost in (one, other):
            with pytest.raises(EngineUnreachableError):
                await lost
        events: list[EngineEvent] = []
        async with subscriptions.subscribed(events.append) as fresh:
            subscriptions.publish(EngineEvent(id=ID))
            assert events == [EngineEvent(id=ID)]
            assert not fresh.done()
