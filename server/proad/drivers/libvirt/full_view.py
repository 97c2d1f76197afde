"""The FULL view of a domain: its XML with data of storage pools and networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import libvirt
from lxml import etree

from proad.drivers.libvirt.connections import bulk_stats
from proad.drivers.libvirt.connections.queries import query
from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.snapshot_support import Obstacle, obstacle
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.xml import metadata
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.metadata import Metadata, in_domain
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.libvirt.xml.spec_view import Outside, SpecView, spec_of
from proad.drivers.tolerant import INT32, Omissions, Value
from proad.model import Disk, Domain, NetworkInterface, VolumeRef

_NO_VOLUME = frozenset(
    {
        libvirt.VIR_ERR_NO_STORAGE_VOL,
        libvirt.VIR_ERR_INVALID_STORAGE_VOL,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_OPERATION_INVALID,  # its pool is not active
        libvirt.VIR_ERR_NO_SUPPORT,
    }
)
_LONGEST_PREFIX = 128
_DISK = "devices/disk"


@dataclass(frozen=True, slots=True)
class XmlFacts:
    """The part of a SUMMARY that comes from the domain's XML.

    Attributes:
        metadata: Proa's metadata.
        obstacle: why snapshots are impossible now; None: no reason is known.
    """

    metadata: Metadata = field(default_factory=Metadata)
    obstacle: Obstacle | None = None


class FullView:
    """Reads all of a domain but its state; unreadable parts are left out and logged.

    Args:
        catalog: knows which volumes go with a domain.
        facts: returns the facts about the host that new domains depend on.
        omissions: records unreadable parts.
    """

    def __init__(
        self,
        catalog: VolumeCatalog,
        facts: Callable[[libvirt.virConnect], HostFacts],
        omissions: Omissions,
    ) -> None:
        self._catalog = catalog
        self._host_facts = facts
        self._omissions = omissions

    def read(
        self, domain: libvirt.virDomain, *, transient: bool, ask_guest: bool = True
    ) -> tuple[Domain, XmlFacts] | None:
        """Read a domain; return None if its XML is unreadable.

        Without `ask_guest`, make no call that waits for the guest's QEMU; `with_sizes` makes those.
        The caller replaces the sizes, for which libvirt has better sources than the XML.
        """
        omissions, id = self._omissions, domain.UUIDString()
        root = self.xml_of(domain)
        if root.element is None:
            return None
        facts = _facts(root.element, omissions, id)
        seen = domain_of(root.element, omissions, id)
        leases = leased(domain, self._omissions) if seen.runtime_id and seen.networks else {}
        snapshots = query(omissions, domain, "snapshots", domain.snapshotNum, 0)
        details = replace(
            seen,
            autostart=bool(query(omissions, domain, "autostart", domain.autostart, 0)),
            disks=tuple(self._with_volume(domain, disk, sizes=ask_guest) for disk in seen.disks),
            networks=tuple(_with_addresses(each, leases) for each in seen.networks),
            snapshot_count=Value(snapshots, omissions, id, "snapshots").count(INT32),
        )
        described = omissions.attempt(
            id, "spec", lambda: self._spec(domain, root, seen, details, transient=transient), None
        )
        if described is not None:
            details = replace(details, spec=described.spec, spec_omits=described.omits)
        return details, facts

    def _spec(
        self,
        domain: libvirt.virDomain,
        root: Node,
        seen: Domain,
        details: Domain,
        *,
        transient: bool,
    ) -> SpecView | None:
        """Return what the next start of a domain will use; None if that is unreadable.

        Args:
            domain: the domain.
            root: its XML as it is now.
            seen: what the XML says.
            details: the same, with the volumes of the disks.
            transient: whether the domain ends with its stop.
        """
        planned = seen
        if seen.runtime_id:
            root = self.xml_of(domain, libvirt.VIR_DOMAIN_XML_INACTIVE)
            if root.element is None:
                return None
            planned = domain_of(root.element, self._omissions, domain.UUIDString())
        known = dict(zip(seen.disks, details.disks, strict=True))

        def volume_of(disk: Disk) -> VolumeRef | None:
            # Only a disk that comes with the next start is not known yet.
            return (known.get(disk) or self._with_volume(domain, disk, sizes=False)).volume

        outside = Outside(
            host=self._host_facts(domain.connect()),
            autostart=details.autostart,
            transient=transient,
            volume_of=volume_of,
        )
        return spec_of(root, planned, outside)

    def with_sizes(self, domain: libvirt.virDomain, disks: Sequence[Disk]) -> tuple[Disk, ...]:
        """Add the sizes of disks that are in no storage pool; may wait for the guest's QEMU."""
        return tuple(self._sized(domain, disk) if lacks_size(disk) else disk for disk in disks)

    def facts(self, domain: libvirt.virDomain) -> XmlFacts:
        """Read the part of a SUMMARY that comes from the XML, with one call."""
        root = self.xml_of(domain).element
        if root is not None:
            return _facts(root, self._omissions, domain.UUIDString())
        read = partial(metadata.read, domain)
        id = domain.UUIDString()
        return XmlFacts(self._omissions.attempt(id, "metadata", read, Metadata()))

    def xml_of(self, domain: libvirt.virDomain, flags: int = 0) -> Node:
        """Return the XML of a domain; an absent node if it is unreadable."""
        # A title or a description that is no UTF-8 makes the whole document unreadable.
        text = query(self._omissions, domain, "XML", lambda: domain.XMLDesc(flags), "")
        return Node.of(text, self._omissions, domain.UUIDString())

    def _with_volume(self, domain: libvirt.virDomain, disk: Disk, *, sizes: bool) -> Disk:
        """Add volume and sizes from the storage pools, which makes no call to a running guest.

        With `sizes`, add the size of a disk that is in none, too.
        """
        if not disk.path and disk.volume is None:
            return disk
        found = query(self._omissions, domain, _DISK, lambda: self._in_pool(domain, disk), None)
        if found is not None or not sizes:
            return found or disk
        return self._sized(domain, disk)

    def _sized(self, domain: libvirt.virDomain, disk: Disk) -> Disk:
        return query(self._omissions, domain, _DISK, lambda: self._with_size(domain, disk), disk)

    def _in_pool(self, domain: libvirt.virDomain, disk: Disk) -> Disk | None:
        """Return a disk with its volume; None if it is in no storage pool."""
        connection = domain.connect()
        try:
            if disk.volume is not None:
                pool = seek(connection.storagePoolLookupByName, disk.volume.pool)
                volume = seek(pool.storageVolLookupByName, disk.volume.name)
            else:
                volume = seek(connection.storageVolLookupByPath, disk.path)
            _, capacity, allocation = volume.info()
            ref = VolumeRef(pool=volume.storagePoolLookupByVolume().name(), name=volume.name())
            path = disk.path or volume.path()
            owned = self._catalog.owns(connection, domain.UUIDString(), volume)
        except libvirt.libvirtError as error:
            if code_of(error) not in _NO_VOLUME:
                raise
            return None
        sizes = Value([capacity, allocation], self._omissions, domain.UUIDString(), "volume")
        capacity, allocation = (size.count() for size in sizes.each())
        return replace(
            disk,
            volume=ref,
            path=path,
            capacity_bytes=capacity,
            allocation_bytes=allocation,
            owned=owned,
        )

    def _with_size(self, domain: libvirt.virDomain, disk: Disk) -> Disk:
        """Add the size of a disk that is in no pool; leave it unknown if libvirt cannot tell."""
        id = domain.UUIDString()
        if domain.isActive():
            # For a running domain, only statistics do not queue behind a call that hangs.
            answer = bulk_stats.of_one(domain, libvirt.VIR_DOMAIN_STATS_BLOCK)
            value = Value(answer, self._omissions, id)
            block = next((key[:-5] for key, name in answer.items() if _names(key, name, disk)), "")
            capacity, allocation = value[f"{block}.capacity"], value[f"{block}.allocation"]
        else:
            try:
                info = list(Value(domain.blockInfo(disk.target), self._omissions, id).each())
            except libvirt.libvirtError:
                return disk  # the file is missing or unreadable: size unknown
            capacity, allocation = info[0], info[1]
        return replace(disk, capacity_bytes=capacity.count(), allocation_bytes=allocation.count())


def lacks_size(disk: Disk) -> bool:
    """Return whether no storage pool told the size of a disk that has a medium."""
    return not disk.capacity_bytes and (bool(disk.path) or disk.volume is not None)


def _facts(root: etree._Element, omissions: Omissions, id: str) -> XmlFacts:
    noted = omissions.attempt(id, "metadata", lambda: Metadata.of(in_domain(root)), Metadata())
    return XmlFacts(noted, obstacle(Node(root, omissions, id)))


def leased(domain: libvirt.virDomain, omissions: Omissions) -> dict[str, tuple[str, ...]]:
    """Return the addresses that networks of libvirt leased to a domain, by MAC address."""
    id, ask = domain.UUIDString(), domain.interfaceAddresses
    source = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE
    try:
        found = omissions.attempt(id, "leases", lambda: ask(source), None)
    except libvirt.libvirtError:
        return {}  # the network has no DHCP, or is stopped: nothing is leased
    return leases_of(Value(found, omissions, id, "leases"))


def leases_of(found: Value) -> dict[str, tuple[str, ...]]:
    """Convert libvirt's interface addresses to addresses by MAC address."""
    return {
        each["hwaddr"].text(): tuple(
            f"{address}/{prefix}"
            for entry in each["addrs"].each()
            if (address := entry["addr"].text())
            and (prefix := entry["prefix"].number(0, _LONGEST_PREFIX)) is not None
        )
        for _, each in found.entries()
    }


def _names(key: str, name: object, disk: Disk) -> bool:
    """Return whether a statistic is `block.<number>.name` of the disk."""
    return key.startswith("block.") and key.endswith(".name") and name == disk.target


def _with_addresses(
    interface: NetworkInterface, leases: dict[str, tuple[str, ...]]
) -> NetworkInterface:
    return replace(interface, addresses=leases.get(interface.mac_address, ()))
