"""Start, pause and resume of domains."""

from functools import partial

import libvirt

from proad.drivers.libvirt import snapshots
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.transitions import guarded, perform, resume_or_wake
from proad.model import Resource, ResourceState, RevertState, StartOptions, Verb, refusal

_PAUSED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)
_RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED)


class DomainLifecycle:
    """Starts, pauses and resumes domains.

    Args:
        connection: to libvirt.
        reader: reads domains.
    """

    def __init__(self, connection: Connection, reader: DomainReader) -> None:
        self._connection = connection
        self._reader = reader

    async def start(self, id: str, options: StartOptions) -> Resource:
        """Start a domain, or resume it; see `ports.Driver.start`."""

        def act(domain: libvirt.virDomain) -> Resource:
            perform(self._reader, domain, Verb.START, partial(self._start, options))
            return self._reader.refreshed_summary(domain)

        return await self._connection.on(id, act, timeout=self._connection.timing.long_call_timeout)

    async def transition(self, id: str, verb: Verb) -> Resource:
        """Pause or resume a domain; see `ports.Driver.pause`."""
        return await self._connection.on(
            id, partial(_transition, self._reader, verb=verb), cached=True
        )

    def _start(self, options: StartOptions, domain: libvirt.virDomain, before: Resource) -> None:
        if options.from_snapshot:
            snapshots.revert(self._reader, domain, options.from_snapshot, RevertState.RUNNING)
            self._reader.forget(before.id)
            return
        if before.state in {ResourceState.PAUSED, ResourceState.SUSPENDED}:
            resume_or_wake(domain, before)
            return
        if before.state is ResourceState.FAILED and domain.isActive() and domain.isPersistent():
            domain.destroy()  # a crashed QEMU that was preserved for inspection
        if not options.discard_saved_state or before.state is not ResourceState.SAVED:
            domain.create()
        elif is_test(domain.connect()):  # knows no flags
            domain.managedSaveRemove()
            domain.create()
        else:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT)


def _transition(reader: DomainReader, domain: libvirt.virDomain, verb: Verb) -> Resource:
    """Pause or resume a domain, with one call if the cached state permits it.

    The cached state may permit a transition: if the domain has changed within the last
    milliseconds, libvirt refuses, or the transition has happened already. Only a fresh state may
    refuse: the cache may be older than a verb whose event is still on its way. libvirt's success
    implies the state afterwards; any other change has an event.
    """
    before = reader.cached_summary(domain)
    if refusal(verb, before):
        before = reader.summary(domain)
    if error := refusal(verb, before):
        raise error
    if before.state is ResourceState.SUSPENDED:  # the guest wakes up asynchronously
        guarded(reader, domain, verb, lambda: resume_or_wake(domain, before))
        return reader.summary(domain)
    act, then = (domain.suspend, _PAUSED) if verb is Verb.PAUSE else (domain.resume, _RUNNING)
    return reader.transition(domain, lambda: guarded(reader, domain, verb, act), then)
