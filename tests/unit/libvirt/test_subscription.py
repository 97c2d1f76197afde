"""Hints of subscriptions: translated from libvirt's events, coalesced for slow readers."""

import asyncio

import libvirt
import pytest

from proad.drivers.libvirt.events import DomainEvent, EventKind
from proad.drivers.libvirt.subscription import Subscriptions
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent

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
def test_what_an_event_says(event: DomainEvent, flags: set[str]):
    assert event.hint() == EngineEvent(id=ID, **dict.fromkeys(flags, True))


@pytest.mark.parametrize(
    ("event", "kept"),
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
def test_what_an_event_lets_be_known(event: DomainEvent, *, kept: bool):
    assert event.keeps_notes is kept


async def test_a_slow_reader_has_one_hint_for_each():
    subscriptions = Subscriptions()
    with subscriptions.opened() as slow, subscriptions.opened() as other:
        for number in range(1000):
            subscriptions.publish(EngineEvent(id=ID, ended=number == 3, reconfigured=number == 5))
            subscriptions.publish(EngineEvent(id="other"))
        subscriptions.publish(EngineEvent(id=ID, removed=True))
        assert await anext(slow) == EngineEvent(id=ID, ended=True, reconfigured=True, removed=True)
        assert await anext(slow) == EngineEvent(id="other")
        late = asyncio.ensure_future(anext(slow))
        await asyncio.sleep(0)
        assert not late.done()
        subscriptions.publish(EngineEvent(id=ID))
        assert await late == EngineEvent(id=ID)  # what was heard is not said again
        assert (await anext(other)).removed  # each reader has its own


async def test_a_loss_ends_all_readers_and_voids_what_they_have_not_heard():
    subscriptions = Subscriptions()
    with subscriptions.opened() as waiting, subscriptions.opened() as slow:
        subscriptions.publish(EngineEvent(id=ID))
        await anext(waiting)
        blocked = asyncio.ensure_future(anext(waiting))
        await asyncio.sleep(0)
        subscriptions.end("gone")
        for reader in (blocked, anext(slow), anext(slow)):
            with pytest.raises(EngineUnreachableError):
                await reader
        with subscriptions.opened() as fresh:
            subscriptions.publish(EngineEvent(id=ID))
            assert await anext(fresh) == EngineEvent(id=ID)
