"""Verbs that libvirt carries out at once; used on the driver's threads."""

from collections.abc import Callable

import libvirt

from proad.drivers.libvirt.reading import Reader
from proad.errors import ProaError
from proad.model import Resource, ResourceState, Verb, refusal

_PAUSED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)
_RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED)

Act = Callable[[libvirt.virDomain, Resource], object]


def perform(reader: Reader, domain: libvirt.virDomain, verb: Verb, act: Act) -> None:
    """Carry out a verb if it is legal in the present state.

    Raises:
        StateError: it is not, or was no more when libvirt got to it.
    """
    before = reader.summary(domain)
    if error := refusal(verb, before):
        raise error
    guarded(reader, domain, verb, lambda: act(domain, before))


def guarded(
    reader: Reader, domain: libvirt.virDomain, verb: Verb, act: Callable[[], object]
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


def turn(reader: Reader, domain: libvirt.virDomain, verb: Verb) -> Resource:
    """Pause or resume a domain: with one call where its state is known.

    What was read of it since its last event lets it pass; if it has changed within the
    last milliseconds, libvirt refuses, or what was to be done is done. Only what is read
    now may refuse: what was read may be of before a verb whose event is still under way.
    libvirt's yes says what it is then; anything else that happens to it has an event.
    """
    before = reader.glance(domain)
    if refusal(verb, before):
        before = reader.summary(domain)
    if error := refusal(verb, before):
        raise error
    if before.state is ResourceState.SUSPENDED:  # it wakes up in its own time
        guarded(reader, domain, verb, domain.pMWakeup)
        return reader.summary(domain)
    act, then = (domain.suspend, _PAUSED) if verb is Verb.PAUSE else (domain.resume, _RUNNING)
    return reader.turned(domain, lambda: guarded(reader, domain, verb, act), then)


def start(domain: libvirt.virDomain, before: Resource, *, discard_saved_state: bool) -> None:
    """Start or go on, whichever `before` calls for."""
    if before.state in {ResourceState.PAUSED, ResourceState.SUSPENDED}:
        go_on(domain, before)
        return
    if before.state is ResourceState.FAILED and domain.isActive() and domain.isPersistent():
        domain.destroy()  # what crashed and was kept to be looked at is in the way
    if not discard_saved_state or before.state is not ResourceState.SAVED:
        domain.create()
    elif is_test(domain):  # knows no flags
        domain.managedSaveRemove()
        domain.create()
    else:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT)


def go_on(domain: libvirt.virDomain, before: Resource) -> None:
    """Resume a paused domain, or wake one that suspended itself."""
    if before.state is ResourceState.SUSPENDED:
        domain.pMWakeup()  # create would say that it runs already
    else:
        domain.resume()


def is_test(domain: libvirt.virDomain) -> bool:
    """Tell whether this is libvirt's own test hypervisor."""
    return str(domain.connect().getType()) == "TEST"
