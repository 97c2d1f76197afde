"""What verbs have in common: the state allows them; used on the driver's threads."""

from collections.abc import Callable

import libvirt

from proad.drivers.libvirt.reader import DomainReader
from proad.errors import ProaError
from proad.model import Resource, ResourceState, Verb, refusal

Act = Callable[[libvirt.virDomain, Resource], object]


def perform(reader: DomainReader, domain: libvirt.virDomain, verb: Verb, act: Act) -> None:
    """Carry out a verb if it is legal in the present state.

    Raises:
        StateError: it is not, or was no more when libvirt got to it.
    """
    before = reader.summary(domain)
    if error := refusal(verb, before):
        raise error
    guarded(reader, domain, verb, lambda: act(domain, before))


def guarded(
    reader: DomainReader, domain: libvirt.virDomain, verb: Verb, act: Callable[[], object]
) -> None:
    """Do something that the state allowed a moment ago; say so if it changed since."""
    late: ProaError | None = None
    try:
        act()
    except libvirt.libvirtError:
        # Whatever libvirt says of it: the state of now decides what it was.
        late = refusal(verb, reader.summary(domain))
        if late is None:
            raise
    if late is not None:
        raise late


def resume_or_wake(domain: libvirt.virDomain, before: Resource) -> None:
    """Resume a paused domain, or wake one that suspended itself."""
    if before.state is ResourceState.SUSPENDED:
        domain.pMWakeup()  # create would say that it runs already
    else:
        domain.resume()
