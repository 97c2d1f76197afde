"""Checks around transitions, before and after; used on the driver's threads."""

from collections.abc import Callable

import libvirt

from proad.drivers.libvirt.reader import DomainReader
from proad.errors import ProaError
from proad.model import Resource, ResourceState, Verb, refusal

Act = Callable[[libvirt.virDomain, Resource], object]


def perform(reader: DomainReader, domain: libvirt.virDomain, verb: Verb, act: Act) -> None:
    """Run a verb if it is legal in the present state.

    Raises:
        StateError: the verb is illegal, or was when libvirt came to it.
    """
    before = reader.summary(domain)
    if error := refusal(verb, before):
        raise error
    guarded(reader, domain, verb, lambda: act(domain, before))


def guarded(
    reader: DomainReader, domain: libvirt.virDomain, verb: Verb, act: Callable[[], object]
) -> None:
    """Run a call that was legal a moment ago; raise StateError if it is not any more."""
    late: ProaError | None = None
    try:
        act()
    except libvirt.libvirtError:
        # libvirt's error depends on the kind of conflict; the present state decides.
        late = refusal(verb, reader.summary(domain))
        if late is None:
            raise
    if late is not None:
        raise late


def resume_or_wake(domain: libvirt.virDomain, before: Resource) -> None:
    """Resume a paused domain, or wake up a suspended one."""
    if before.state is ResourceState.SUSPENDED:
        domain.pMWakeup()  # create fails: the domain is active
    else:
        domain.resume()
