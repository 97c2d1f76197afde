"""Starting, pausing and resuming domains: what libvirt does at once."""

from functools import partial

import libvirt

from proad.drivers.libvirt import snapshots, verbs
from proad.drivers.libvirt.connection import LONG_TIMEOUT, Connection
from proad.drivers.libvirt.events import action_of
from proad.drivers.libvirt.reading import Reader
from proad.drivers.own_events import OwnEvents
from proad.model import Resource, RevertState, StartOptions, Verb


class Starting:
    """Starts, pauses and resumes domains.

    Args:
        connection: to libvirt.
        reader: makes resources.
        own_events: keeps the events of our own pauses from those who need none.
    """

    def __init__(self, connection: Connection, reader: Reader, own_events: OwnEvents) -> None:
        self._connection = connection
        self._reader = reader
        self._own_events = own_events

    async def start(self, id: str, options: StartOptions) -> Resource:
        """Start a domain, or let it go on; `ports.Driver.start` says more."""

        def act(domain: libvirt.virDomain) -> Resource:
            verbs.perform(self._reader, domain, Verb.START, partial(self._start, options))
            return self._reader.afresh(domain)

        return await self._connection.on(id, act, timeout=LONG_TIMEOUT)

    async def turn(self, id: str, verb: Verb, before: Resource | None) -> Resource:
        """Pause or resume a domain; `ports.Driver.pause` says more.

        What is legal is told by what we know of it, which is never older than `before`.
        Who gave that takes our word for what comes of it, and is not told of the event.
        """
        turn = partial(verbs.turn, self._reader, verb=verb)
        if before is None:
            return await self._connection.on(id, turn, kept=True)
        with self._own_events.expected(id, action_of(verb)) as act:
            after = await self._connection.on(id, turn, kept=True)
            act.done = True
        return after

    def _start(self, options: StartOptions, domain: libvirt.virDomain, before: Resource) -> None:
        if options.from_snapshot:
            snapshots.revert(self._reader, domain, options.from_snapshot, RevertState.RUNNING)
            self._reader.forget(before.id)
            return
        verbs.start(domain, before, discard_saved_state=options.discard_saved_state)
