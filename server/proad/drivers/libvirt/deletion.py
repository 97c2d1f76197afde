"""Deleting domains with what was made for them."""

import libvirt

from proad.drivers.libvirt.connection import LONG_TIMEOUT, Connection
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.lanes import Lane
from proad.drivers.libvirt.metadata import Metadata, in_domain
from proad.drivers.libvirt.reading import Reader, lookup
from proad.drivers.libvirt.storage import Storage
from proad.drivers.libvirt.virt import is_test
from proad.drivers.libvirt.xml import parse
from proad.errors import HasSavedStateError, HasSnapshotsError, ResourceNotFoundError
from proad.model import DeleteOptions, Lifetime, Resource, Verb, VolumeRef, refusal


class Deletion:
    """Deletes domains.

    Args:
        connection: to libvirt.
        reader: makes resources.
        storage: where the volumes of a domain are deleted.
    """

    def __init__(self, connection: Connection, reader: Reader, storage: Storage) -> None:
        self._connection = connection
        self._reader = reader
        self._storage = storage

    async def delete(self, id: str, options: DeleteOptions) -> Resource:
        """Delete a domain; `ports.Driver.delete` says more."""

        def look(domain: libvirt.virDomain) -> tuple[Resource, tuple[VolumeRef, ...], bool]:
            before = self._reader.full(domain, ask_guest=False)
            _check(domain, before, options)
            notes = Metadata.of(in_domain(parse(domain.XMLDesc())))
            volumes = () if options.keep_volumes else notes.volumes
            return before, volumes, bool(domain.isActive())

        before, volumes, active = await self._connection.on(id, look, lane=Lane.READ)
        if active:
            await self._connection.on(id, _destroy, lane=Lane.URGENT)
        await self._connection.call(
            lambda c: self._remove(c, before, volumes), id=id, timeout=LONG_TIMEOUT
        )
        return before

    def _remove(
        self, connection: libvirt.virConnect, before: Resource, volumes: tuple[VolumeRef, ...]
    ) -> None:
        try:
            domain = lookup(connection, before.id)
        except ResourceNotFoundError:
            if before.lifetime is not Lifetime.TRANSIENT:
                raise
            # It was gone when it was ended.
            self._storage.delete_owned(connection, volumes, owner=before.id)
            return
        # Somebody started it again: undefined now, it would run on as a transient one.
        if error := refusal(Verb.DELETE, self._reader.summary(domain)):
            raise error
        _drop_snapshots(domain, before, set(volumes))
        # The volumes first: if one cannot go, the domain still knows of them, and the
        # call can be made again.
        self._storage.delete_owned(connection, volumes, owner=before.id)
        _undefine(domain)


def _check(domain: libvirt.virDomain, before: Resource, options: DeleteOptions) -> None:
    if error := refusal(Verb.DELETE, before, force=options.force):
        raise error
    if not options.delete_snapshots and (count := domain.snapshotNum()):
        raise HasSnapshotsError(before.name, count)
    saved = before.domain is not None and before.domain.has_saved_state
    if saved and not options.delete_saved_state:
        raise HasSavedStateError(before.name)


def _destroy(domain: libvirt.virDomain) -> None:
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_OPERATION_INVALID:  # it ended by itself
            raise


def _drop_snapshots(domain: libvirt.virDomain, before: Resource, volumes: set[VolumeRef]) -> None:
    """Take the snapshots out of the disks that stay; those that go take theirs along."""
    disks = before.domain.disks if before.domain is not None else ()
    if all(disk.read_only or disk.volume in volumes for disk in disks):
        return
    for root in domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_ROOTS):
        root.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)


def _undefine(domain: libvirt.virDomain) -> None:
    flags = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    )
    if not is_test(domain.connect()):
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    domain.undefineFlags(flags)
