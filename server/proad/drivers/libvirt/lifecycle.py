"""Start, pause and resume of domains."""

from functools import partial

import libvirt

from proad.drivers.libvirt import snapshots
from proad.drivers.libvirt.connections.connection import LONG_TIMEOUT, Connection
from proad.drivers.libvirt.events import action_of
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.transitions import guarded, perform, resume_or_wake
from proad.drivers.own_events import OwnEvents
from proad.model import Resource, ResourceState, RevertState, StartOptions, Verb, refusal

_PAUSED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)
_RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED)


class DomainLifecycle:
    """Starts, pauses and resumes domains.

    Args:
        connection: to libvirt.
        reader: makes resources.
        own_events: keeps the events of our own pauses from those who need none.
    """

    def __init__(self, connection: Connection, reader: DomainReader, own_events: OwnEvents) -> None:
        self._connection = connection
        self._reader = reader
        self._own_events = own_events

    async def start(self, id: str, options: StartOptions) -> Resource:
        """Start a domain, or let it go on; `ports.Driver.start` says more."""

        def act(domain: libvirt.virDomain) -> Resource:
            perform(self._reader, domain, Verb.START, partial(self._start, options))
            return self._reader.refreshed_summary(domain)

        return await self._connection.on(id, act, timeout=LONG_TIMEOUT)

    async def transition(self, id: str, verb: Verb, before: Resource | None) -> Resource:
        """Pause or resume a domain; `ports.Driver.pause` says more.

        What is legal is told by what we know of it, which is never older than `before`.
        Who gave that takes our word for what comes of it, and is not told of the event.
        """
        transition = partial(_transition, self._reader, verb=verb)
        if before is None:
            return await self._connection.on(id, transition, cached=True)
        with self._own_events.expected(id, action_of(verb)) as act:

            def own_transition(domain: libvirt.virDomain) -> Resource:
                self._own_events.begin(act)
                return transition(domain)

            after = await self._connection.on(id, own_transition, cached=True)
            act.done = True
        return after

    def _start(self, options: StartOptions, domain: libvirt.virDomain, before: Resource) -> None:
        if options.from_snapshot:
            snapshots.revert(self._reader, domain, options.from_snapshot, RevertState.RUNNING)
            self._reader.forget(before.id)
            return
        if before.state in {ResourceState.PAUSED, ResourceState.SUSPENDED}:
            resume_or_wake(domain, before)
            return
        if before.state is ResourceState.FAILED and domain.isActive() and domain.isPersistent():
            domain.destroy()  # what crashed and was kept to be looked at is in the way
        if not options.discard_saved_state or before.state is not ResourceState.SAVED:
            domain.create()
        elif is_test(domain.connect()):  # knows no flags
            domain.managedSaveRemove()
            domain.create()
        else:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT)


def _transition(reader: DomainReader, domain: libvirt.virDomain, verb: Verb) -> Resource:
    """Pause or resume a domain: with one call where its state is known.

    What was read of it since its last event lets it pass; if it has changed within the
    last milliseconds, libvirt refuses, or what was to be done is done. Only what is read
    now may refuse: what was read may be of before a verb whose event is still under way.
    libvirt's yes says what it is then; anything else that happens to it has an event.
    """
    before = reader.cached_summary(domain)
    if refusal(verb, before):
        before = reader.summary(domain)
    if error := refusal(verb, before):
        raise error
    if before.state is ResourceState.SUSPENDED:  # it wakes up in its own time
        guarded(reader, domain, verb, lambda: resume_or_wake(domain, before))
        return reader.summary(domain)
    act, then = (domain.suspend, _PAUSED) if verb is Verb.PAUSE else (domain.resume, _RUNNING)
    return reader.transition(domain, lambda: guarded(reader, domain, verb, act), then)
