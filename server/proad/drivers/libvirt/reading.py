"""Reading domains: as a whole list with a handful of calls, or one in full."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import libvirt

from proad.drivers.libvirt import metadata
from proad.drivers.libvirt.cache import EventCache
from proad.drivers.libvirt.domain_view import domain_of
from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.metadata import Metadata, in_domain
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

_SIZES = libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_VCPU
_INACTIVE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE
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
        return seek(connection.lookupByUUIDString, id)
    except libvirt.libvirtError as error:
        # Our ids are UUIDs: what is none cannot be a domain's.
        if code_of(error) not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG}:
            raise
    raise ResourceNotFoundError(id)


@dataclass(frozen=True, slots=True)
class _Size:
    """Memory in KiB and processors, as `virDomainInfo` has them."""

    maximum: int
    memory: int
    vcpus: int

    @classmethod
    def read(cls, domain: libvirt.virDomain) -> Self:
        _, maximum, memory, vcpus, _ = domain.info()
        return cls(maximum, memory, vcpus)

    def domain(self, *, autostart: bool) -> Domain:
        return Domain(
            memory_bytes=self.memory * KIB,
            max_memory_bytes=self.maximum * KIB,
            vcpus=self.vcpus,
            autostart=autostart,
        )


class Reader:
    """Makes resources of domains; used on the driver's threads."""

    def __init__(self) -> None:
        self._metadata = EventCache(metadata.read)
        # In bulk libvirt tells these of running domains only after a question to each
        # QEMU, which takes up to 40 ms.
        self._sizes = EventCache(_Size.read)

    def forget(self, id: str) -> None:
        """Read a domain anew next time: something happened to it."""
        self._metadata.forget(id)
        self._sizes.forget(id)

    def forget_all(self) -> None:
        """Read everything anew: events may have been missed."""
        self._metadata.forget_all()
        self._sizes.forget_all()

    def all(self, connection: libvirt.virConnect, view: ResourceView) -> list[Resource]:
        """Read all domains; a SUMMARY costs the same few calls for any number.

        Of running domains the size is as it was at their last event: libvirt has one
        for each change but for processors that another client plugs in.
        """
        if view is ResourceView.FULL:
            return list(self._in_full(connection.listAllDomains()))
        states = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
        sizes = {
            domain.UUIDString(): _Size(
                stats["balloon.maximum"], stats["balloon.current"], stats["vcpu.current"]
            )
            for domain, stats in connection.getAllDomainStats(_SIZES, _INACTIVE | _NOWAIT)
            if "balloon.maximum" in stats  # not so on the test hypervisor
        }
        flagged = {
            flag: {domain.UUIDString() for domain in connection.listAllDomains(flag)}
            for flag in (
                libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
                libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
                libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
            )
        }
        ids = [domain.UUIDString() for domain, _ in states]
        self._metadata.keep_only(ids)
        self._sizes.keep_only(ids)
        resources = []
        for domain, stats in states:
            try:
                size = sizes.get(domain.UUIDString()) or self._sizes.get(domain)
                resources.append(self._listed(domain, stats, size, *flagged.values()))
            except libvirt.libvirtError as error:
                if code_of(error) not in _GONE:
                    raise
        return resources

    def one(self, domain: libvirt.virDomain, view: ResourceView) -> Resource:
        """Read one domain."""
        return self.full(domain) if view is ResourceView.FULL else self.summary(domain)

    def glance(self, domain: libvirt.virDomain) -> Resource:
        """Read what decides which verbs are legal, and no more."""
        state, reason = domain.state()
        # Only one that does not run can have one, and a transient one never.
        saved = state == libvirt.VIR_DOMAIN_SHUTOFF and domain.hasManagedSaveImage() == 1
        ours, detail = state_of(state, reason, saved=saved)
        return Resource(
            id=domain.UUIDString(),
            kind=ResourceKind.DOMAIN,
            name=domain.name(),
            state=ours,
            state_detail=detail,
        )

    def summary(self, domain: libvirt.virDomain) -> Resource:
        """Read what a list shows."""
        details = _Size.read(domain).domain(autostart=bool(domain.autostart()))
        return self._complete(domain, details, self._metadata.get(domain))

    def full(self, domain: libvirt.virDomain, *, ask_guest: bool = True) -> Resource:
        """Read everything; without `ask_guest` only what cannot hang with the guest."""
        root = parse(domain.XMLDesc())
        noted = Metadata.of(in_domain(root))
        seen = domain_of(root)
        leases = _leases(domain) if seen.runtime_id and seen.networks else {}
        details = replace(
            seen,
            autostart=bool(domain.autostart()),
            disks=tuple(
                _with_volume(domain, disk, noted.volumes, sizes=ask_guest) for disk in seen.disks
            ),
            networks=tuple(_with_addresses(n, leases) for n in seen.networks),
            snapshot_count=domain.snapshotNum(),
        )
        shown = self._complete(domain, details, noted)
        saved = shown.state is ResourceState.SAVED
        return replace(shown, domain=replace(details, has_saved_state=saved))

    def _complete(self, domain: libvirt.virDomain, details: Domain, noted: Metadata) -> Resource:
        transient = domain.isPersistent() == 0
        return replace(
            self.glance(domain),
            labels=noted.labels,
            create_time=noted.create_time,
            lifetime=Lifetime.TRANSIENT if transient else Lifetime.PERSISTENT,
            domain=details,
        )

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
        size: _Size,
        saved: set[str],
        autostart: set[str],
        transient: set[str],
    ) -> Resource:
        id = domain.UUIDString()
        state, detail = state_of(stats["state.state"], stats["state.reason"], saved=id in saved)
        noted = self._metadata.get(domain)
        return Resource(
            id=id,
            kind=ResourceKind.DOMAIN,
            name=domain.name(),
            state=state,
            state_detail=detail,
            labels=noted.labels,
            create_time=noted.create_time,
            lifetime=Lifetime.TRANSIENT if id in transient else Lifetime.PERSISTENT,
            domain=size.domain(autostart=id in autostart),
        )


def _with_volume(
    domain: libvirt.virDomain, disk: Disk, owned: tuple[VolumeRef, ...], *, sizes: bool
) -> Disk:
    """Add what the storage pools know of a disk, which asks nothing of a running guest."""
    connection = domain.connect()
    try:
        if disk.volume is not None:
            pool = seek(connection.storagePoolLookupByName, disk.volume.pool)
            volume = seek(pool.storageVolLookupByName, disk.volume.name)
        elif disk.path:
            volume = seek(connection.storageVolLookupByPath, disk.path)
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
