"""Calls that read domains, on the threads for reads."""

from collections.abc import Sequence
from functools import partial

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import find_id, find_running
from proad.drivers.libvirt.documents import documents_of
from proad.drivers.libvirt.full_view import lacks_size
from proad.drivers.libvirt.host.host import LibvirtHost
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage.disk_images import DiskImages
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.timing import SampleTiming
from proad.drivers.tolerant import Omissions
from proad.errors import EngineTimedOutError
from proad.model import DomainDocument, DomainFacts, Resource, ResourceView


class ReadCalls:
    """Reads domains, their XML, and what it is judged on.

    Args:
        connection: to libvirt.
        reader: reads domains.
        host: what runs them.
        images: the images of their disks.
        omissions: records unreadable parts.
        media_dirs: folders of installation media that are named by their path.
        finder: finds storage pools.
        timing: limit of questions to a QEMU.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        host: LibvirtHost,
        images: DiskImages,
        omissions: Omissions,
        *,
        media_dirs: Sequence[str],
        finder: Finder,
        timing: SampleTiming,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._omissions = omissions
        self._timing = timing
        self._documents = partial(documents_of, images=images)
        self._facts = partial(host.judged_facts, media_dirs=media_dirs, finder=finder)

    async def all(self, view: ResourceView) -> list[Resource]:
        """Return all domains; a SUMMARY costs the same few calls for any number."""
        return await self._connection.call(
            lambda c: self._reader.all(c, view), bulkhead=Bulkhead.READ
        )

    async def one(self, id: str, view: ResourceView) -> Resource:
        """Return one domain; in full, without the sizes of disks that its QEMU does not tell soon."""
        if view is ResourceView.SUMMARY:
            return await self._connection.on(
                id, self._reader.summary, bulkhead=Bulkhead.READ, cached=True
            )
        read = partial(self._reader.full, ask_guest=False)
        full = await self._connection.on(id, read, bulkhead=Bulkhead.READ)
        if full.domain is None or not any(map(lacks_size, full.domain.disks)):
            return full
        add = partial(self._reader.with_sizes, full=full)
        try:
            return await self._connection.on(
                id, add, bulkhead=Bulkhead.SAMPLE, timeout=self._timing.timeout
            )
        except EngineTimedOutError as error:
            self._omissions.note(id, "devices/disk", "sizes in time", error)
            return full

    async def find_id(self, name: str) -> str:
        """Return the UUID of the domain of that name."""
        return await self._connection.call(lambda c: find_id(c, name), bulkhead=Bulkhead.READ)

    async def find_running(self, runtime_id: int) -> str:
        """Return the UUID of the domain that runs under this number now."""
        return await self._connection.call(
            lambda c: find_running(c, runtime_id), bulkhead=Bulkhead.READ
        )

    async def facts(self) -> DomainFacts:
        """Return the facts on which domain XML is judged."""
        return await self._connection.call(self._facts, bulkhead=Bulkhead.READ)

    async def documents(self, id: str, snapshot: str) -> tuple[DomainDocument, ...]:
        """Return all XML that a start, or a revert to a snapshot, would run."""
        read = partial(self._documents, snapshot=snapshot)
        return await self._connection.on(id, read, bulkhead=Bulkhead.READ)

    async def xml(self, id: str, *, inactive: bool) -> str:
        """Return a domain as XML, without passwords."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
        return await self._connection.on(
            id, lambda domain: str(domain.XMLDesc(flags)), bulkhead=Bulkhead.READ
        )
