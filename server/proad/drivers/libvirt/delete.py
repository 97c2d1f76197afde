"""Deletion of domains with the volumes that were created for them."""

from functools import partial

import libvirt
import structlog

from proad.drivers.libvirt import serial_log
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage import nvram
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.storage import Storage
from proad.errors import Findings, HasSavedStateError, HasSnapshotsError, ResourceNotFoundError
from proad.model import DeleteOptions, Lifetime, Resource, Verb, refusal
from proad.ports import Begin
from proad.ports.records import VolumeRecord

_log = structlog.get_logger(__name__)


class DomainDeleter:
    """Deletes domains.

    Args:
        connection: to libvirt.
        reader: reads domains.
        storage: deletes volumes.
        catalog: knows which volumes go with a domain.
    """

    def __init__(
        self, connection: Connection, reader: DomainReader, storage: Storage, catalog: VolumeCatalog
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._storage = storage
        self._catalog = catalog

    async def delete(self, id: str, options: DeleteOptions, begin: Begin) -> Resource:
        """Delete a domain; see `ports.Driver.delete`."""

        def look(domain: libvirt.virDomain) -> tuple[Resource, bool]:
            before = self._reader.full(domain, ask_guest=False)
            _check(domain, before, options)
            return before, bool(domain.isActive())

        before, active = await self._connection.on(id, look, bulkhead=Bulkhead.READ)
        # Without an id, and not on READ: a slow database must not delay reads, and a QEMU that
        # hangs must not delay this query.
        owned = await self._connection.call(lambda c: self._catalog.made_for(c, id))
        if not options.keep_volumes:
            # Before anything is changed, and the domain killed.
            check = partial(
                self._storage.deleter.check_owned,
                records=owned,
                owner=id,
                ignore=options.ignore_unreadable,
            )
            await self._connection.call(check, id=id)
        await begin()
        if active:
            await self._connection.on(id, _destroy, bulkhead=Bulkhead.URGENT)
        await self._connection.call(
            lambda c: self._remove(c, before, owned, options),
            id=id,
            timeout=self._connection.timing.long_call_timeout,
        )
        return before

    def _remove(
        self,
        connection: libvirt.virConnect,
        before: Resource,
        owned: list[VolumeRecord],
        options: DeleteOptions,
    ) -> None:
        leaving, staying = ([], owned) if options.keep_volumes else (owned, [])
        try:
            domain = lookup(connection, before.id)
        except ResourceNotFoundError:
            if before.lifetime is not Lifetime.TRANSIENT:
                raise
            # A transient domain disappears when it is killed.
            self._storage.deleter.delete_owned(connection, leaving, owner=before.id, strict=False)
            serial_log.delete(before.id)
            self._catalog.release(connection, staying)
            return
        # Somebody may have started it again: an undefine would make it transient.
        if error := refusal(Verb.DELETE, self._reader.summary(domain)):
            raise error
        _drop_snapshots(domain, before, options)
        # Volumes first: if one cannot be deleted, the domain still exists, and the call can be
        # repeated.
        self._storage.deleter.delete_owned(
            connection, leaving, owner=before.id, ignore=options.ignore_unreadable
        )
        users_of = partial(self._storage.deleter.users_of, connection, but=before.id)
        _undefine(domain, nvram.undefine_flag(domain, users_of))
        serial_log.delete(before.id)
        self._catalog.release(connection, staying)


def _check(domain: libvirt.virDomain, before: Resource, options: DeleteOptions) -> None:
    findings = Findings()
    with findings.noted():
        if error := refusal(Verb.DELETE, before, force=options.force):
            raise error
    with findings.noted():
        if not options.delete_snapshots and (count := domain.snapshotNum()):
            raise HasSnapshotsError(before.name, count)
    saved = before.domain is not None and before.domain.has_saved_state
    with findings.noted():
        if saved and not options.delete_saved_state:
            raise HasSavedStateError(before.name)
    findings.check()


def _destroy(domain: libvirt.virDomain) -> None:
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_OPERATION_INVALID:  # it has ended by itself
            raise


def _drop_snapshots(domain: libvirt.virDomain, before: Resource, options: DeleteOptions) -> None:
    """Delete the snapshots inside of disks that stay; a deleted disk takes its own along.

    libvirt cannot delete external snapshots, which somebody else took: an undefine forgets them,
    and their files stay, as do the internal snapshots below them.
    """
    disks = before.domain.disks if before.domain is not None else ()
    staying = [
        disk for disk in disks if not disk.read_only and (options.keep_volumes or not disk.owned)
    ]
    if not staying:
        return
    if domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_EXTERNAL):
        left = [disk.path for disk in staying]
        _log.warning("libvirt.left_behind", domain=before.name, files=left)
        return
    for root in domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_ROOTS):
        root.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)


def _undefine(domain: libvirt.virDomain, flags: int) -> None:
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if not is_test(domain.connect()):
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    domain.undefineFlags(flags)
