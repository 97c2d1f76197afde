"""Reading domains: as a whole list with a handful of calls, or one in full."""

from collections.abc import Iterable
from dataclasses import replace

import libvirt

from proad.drivers.libvirt.domain_view import domain_of
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.metadata import Metadata, MetadataCache, in_domain
from proad.drivers.libvirt.state import state_of
from proad.drivers.libvirt.xml import parse
from proad.errors import ResourceNotFoundError
from proad.model import (
    Disk,
    Domain,
    Lifetime,
    NetworkInterface,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    VolumeRef,
)

KIB = 1024

_STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
)
# A domain that hangs must not hold up the list.
_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_GONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN})
_NO_VOLUME = frozenset(
    {
        libvirt.VIR_ERR_NO_STORAGE_VOL,
        libvirt.VIR_ERR_INVALID_STORAGE_VOL,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_NO_SUPPORT,
    }
)


def lookup(connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
    """Find a domain by its UUID.

    Raises:
        ResourceNotFoundError: there is none.
    """
    try:
        return connection.lookupByUUIDString(id)
    except libvirt.libvirtError as error:
        # Our ids are UUIDs: what is none cannot be a domain's.
        if code_of(error) not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG}:
            raise
    raise ResourceNotFoundError(id)


class Reader:
    """Makes resources of domains; used on the driver's threads."""

    def __init__(self, metadata: MetadataCache) -> None:
        self._metadata = metadata

    def all(self, connection: libvirt.virConnect, view: ResourceView) -> list[Resource]:
        """Read all domains; a SUMMARY costs the same few calls for any number."""
        if view is ResourceView.FULL:
            return list(self._in_full(connection.listAllDomains()))
        listing = connection.getAllDomainStats(_STATS, _NOWAIT)
        flagged = {
            flag: {domain.UUIDString() for domain in connection.listAllDomains(flag)}
            for flag in (
                libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
                libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
                libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
            )
        }
        self._metadata.keep_only(domain.UUIDString() for domain, _ in listing)
        resources = []
        for domain, stats in listing:
            try:
                resources.append(self._listed(domain, stats, *flagged.values()))
            except libvirt.libvirtError as error:
                if code_of(error) not in _GONE:
                    raise
        return resources

    def one(self, domain: libvirt.virDomain, view: ResourceView) -> Resource:
        """Read one domain."""
        return self.full(domain) if view is ResourceView.FULL else self.summary(domain)

    def summary(self, domain: libvirt.virDomain) -> Resource:
        """Read what a list shows."""
        _, maximum, memory, vcpus, _ = domain.info()
        details = Domain(
            memory_bytes=memory * KIB,
            max_memory_bytes=maximum * KIB,
            vcpus=vcpus,
            autostart=bool(domain.autostart()),
        )
        return _resource(domain, details, self._metadata.get(domain))

    def full(self, domain: libvirt.virDomain, *, ask_guest: bool = True) -> Resource:
        """Read everything; without `ask_guest` only what cannot hang with the guest."""
        root = parse(domain.XMLDesc())
        metadata = Metadata.of(in_domain(root))
        _, maximum, memory, vcpus, _ = domain.info()
        seen = domain_of(root)
        active = domain.isActive() == 1
        leases = _leases(domain) if active and seen.networks else {}
        details = replace(
            seen,
            memory_bytes=memory * KIB,
            max_memory_bytes=maximum * KIB,
            vcpus=vcpus,
            autostart=bool(domain.autostart()),
            disks=tuple(
                _with_volume(domain, disk, metadata.volumes, sizes=ask_guest) for disk in seen.disks
            ),
            networks=tuple(_with_addresses(n, leases) for n in seen.networks),
            snapshot_count=domain.snapshotNum(),
        )
        shown = _resource(domain, details, metadata)
        saved = shown.state is ResourceState.SAVED
        return replace(shown, domain=replace(details, has_saved_state=saved))

    def _in_full(self, domains: Iterable[libvirt.virDomain]) -> Iterable[Resource]:
        for domain in domains:
            try:
                yield self.full(domain)
            except libvirt.libvirtError as error:
                if code_of(error) not in _GONE:
                    raise

    def _listed(
        self,
        domain: libvirt.virDomain,
        stats: dict[str, int],
        saved: set[str],
        autostart: set[str],
        transient: set[str],
    ) -> Resource:
        id = domain.UUIDString()
        if "balloon.maximum" in stats:
            maximum, memory = stats["balloon.maximum"], stats["balloon.current"]
            vcpus = stats["vcpu.current"]
        else:  # the test hypervisor, where a question costs no round trip
            _, maximum, memory, vcpus, _ = domain.info()
        state, detail = state_of(stats["state.state"], stats["state.reason"], saved=id in saved)
        metadata = self._metadata.get(domain)
        return Resource(
            id=id,
            kind=ResourceKind.DOMAIN,
            name=domain.name(),
            state=state,
            state_detail=detail,
            labels=metadata.labels,
            create_time=metadata.create_time,
            lifetime=Lifetime.TRANSIENT if id in transient else Lifetime.PERSISTENT,
            domain=Domain(
                memory_bytes=memory * KIB,
                max_memory_bytes=maximum * KIB,
                vcpus=vcpus,
                autostart=id in autostart,
            ),
        )


def _resource(domain: libvirt.virDomain, details: Domain, metadata: Metadata) -> Resource:
    persistent = domain.isPersistent() == 1
    # A transient domain cannot have one, and libvirt does not like the question.
    saved = persistent and domain.hasManagedSaveImage() == 1
    state, detail = state_of(*domain.state(), saved=saved)
    return Resource(
        id=domain.UUIDString(),
        kind=ResourceKind.DOMAIN,
        name=domain.name(),
        state=state,
        state_detail=detail,
        labels=metadata.labels,
        create_time=metadata.create_time,
        lifetime=Lifetime.PERSISTENT if persistent else Lifetime.TRANSIENT,
        domain=details,
    )


def _with_volume(
    domain: libvirt.virDomain, disk: Disk, owned: tuple[VolumeRef, ...], *, sizes: bool
) -> Disk:
    """Add what the storage pools know of a disk, which asks nothing of a running guest."""
    connection = domain.connect()
    try:
        if disk.volume is not None:
            pool = connection.storagePoolLookupByName(disk.volume.pool)
            volume = pool.storageVolLookupByName(disk.volume.name)
        elif disk.path:
            volume = connection.storageVolLookupByPath(disk.path)
        else:
            return disk
        _, capacity, allocation = volume.info()
    except libvirt.libvirtError as error:
        if code_of(error) not in _NO_VOLUME:
            raise
        return _with_size(domain, disk) if sizes else disk
    ref = VolumeRef(pool=volume.storagePoolLookupByVolume().name(), name=volume.name())
    return replace(
        disk,
        volume=ref,
        path=disk.path or volume.path(),
        capacity_bytes=capacity,
        allocation_bytes=allocation,
        owned=ref in owned,
    )


def _with_size(domain: libvirt.virDomain, disk: Disk) -> Disk:
    """Ask for the size of a disk that is in no pool; unknown where libvirt cannot tell."""
    if domain.isActive():
        # Of a running domain only libvirt's statistics come without waiting in line
        # behind a call that hangs.
        ((_, stats),) = domain.connect().domainListGetStats(
            [domain], libvirt.VIR_DOMAIN_STATS_BLOCK, _NOWAIT
        )
        for number in range(stats.get("block.count", 0)):
            if stats.get(f"block.{number}.name") == disk.target:
                return replace(
                    disk,
                    capacity_bytes=stats.get(f"block.{number}.capacity", 0),
                    allocation_bytes=stats.get(f"block.{number}.allocation", 0),
                )
        return disk
    try:
        capacity, allocation, _ = domain.blockInfo(disk.target)
    except libvirt.libvirtError:
        return disk  # the file is not there, or cannot be read: size unknown
    return replace(disk, capacity_bytes=capacity, allocation_bytes=allocation)


def _leases(domain: libvirt.virDomain) -> dict[str, tuple[str, ...]]:
    """Give the leased addresses by MAC address."""
    try:
        found = domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
    except libvirt.libvirtError:
        return {}  # a network without DHCP, or stopped under the domain: nothing leased
    return {
        interface["hwaddr"]: tuple(
            f"{address['addr']}/{address['prefix']}" for address in interface["addrs"] or ()
        )
        for interface in found.values()
    }


def _with_addresses(
    interface: NetworkInterface, leases: dict[str, tuple[str, ...]]
) -> NetworkInterface:
    return replace(interface, addresses=leases.get(interface.mac_address, ()))
