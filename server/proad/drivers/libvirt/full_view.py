"""The full view of a domain: its XML, and what storage pools and networks know of it."""

from dataclasses import replace

import libvirt

from proad.drivers.libvirt import stats
from proad.drivers.libvirt.domain_view import domain_of
from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.ledger import Ledger
from proad.drivers.libvirt.metadata import Metadata, in_domain
from proad.drivers.libvirt.xml import parse
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


def read(
    domain: libvirt.virDomain, ledger: Ledger, *, ask_guest: bool = True
) -> tuple[Domain, Metadata]:
    """Read all but the state; without `ask_guest` only what cannot hang with the guest."""
    root = parse(domain.XMLDesc())
    noted = Metadata.of(in_domain(root))
    seen = domain_of(root)
    leases = _leases(domain) if seen.runtime_id and seen.networks else {}
    details = replace(
        seen,
        autostart=bool(domain.autostart()),
        disks=tuple(_with_volume(domain, disk, ledger, sizes=ask_guest) for disk in seen.disks),
        networks=tuple(_with_addresses(each, leases) for each in seen.networks),
        snapshot_count=domain.snapshotNum(),
    )
    return details, noted


def _with_volume(domain: libvirt.virDomain, disk: Disk, ledger: Ledger, *, sizes: bool) -> Disk:
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
        ref = VolumeRef(pool=volume.storagePoolLookupByVolume().name(), name=volume.name())
        path = disk.path or volume.path()
        owned = ledger.owns(connection, domain.UUIDString(), volume)
    except libvirt.libvirtError as error:
        if code_of(error) not in _NO_VOLUME:
            raise
        return _with_size(domain, disk) if sizes else disk
    return replace(
        disk,
        volume=ref,
        path=path,
        capacity_bytes=capacity,
        allocation_bytes=allocation,
        owned=owned,
    )


def _with_size(domain: libvirt.virDomain, disk: Disk) -> Disk:
    """Ask for the size of a disk that is in no pool; unknown where libvirt cannot tell."""
    if domain.isActive():
        # Of a running domain only libvirt's statistics come without waiting in line
        # behind a call that hangs.
        told = stats.of_one(domain, libvirt.VIR_DOMAIN_STATS_BLOCK)
        for number in range(int(told.get("block.count", 0))):
            if told.get(f"block.{number}.name") == disk.target:
                return replace(
                    disk,
                    capacity_bytes=int(told.get(f"block.{number}.capacity", 0)),
                    allocation_bytes=int(told.get(f"block.{number}.allocation", 0)),
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
