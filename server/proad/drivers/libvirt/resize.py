"""Updates of memory and processors: live if QEMU and the guest follow, else at the next start.

Used on the driver's threads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import libvirt

from proad.drivers.libvirt.errors import ENGINE, code_of
from proad.drivers.libvirt.host.domain_capabilities import capabilities_for, check_vcpus
from proad.drivers.libvirt.summary_view import KIB
from proad.drivers.libvirt.timing import ResizeTiming
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.node import Node
from proad.errors import CapabilityMissingError, InvalidArgumentError
from proad.model import ResourceState

MEMORY = "memory_bytes"
VCPUS = "vcpus"
_OF_VCPUS = f"domain.{VCPUS}"

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
# libvirt's errors for a domain without a balloon, or without room for a processor.
_CANNOT = frozenset(
    {
        libvirt.VIR_ERR_OPERATION_INVALID,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeTarget:
    """The domain of an update.

    Attributes:
        domain: the domain.
        state: its state.
        active: whether it has a QEMU.
        persistent: whether it has a configuration for the next start.
    """

    domain: libvirt.virDomain
    state: ResourceState
    active: bool
    persistent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Another size of a domain; None leaves a number unchanged."""

    memory_bytes: int | None = None
    vcpus: int | None = None


def check(target: ResizeTarget, change: Resize) -> None:
    """Check a change before anything is changed.

    Raises:
        InvalidArgumentError: the machine, or the domain's topology, has no room for so many
            processors.
        CapabilityMissingError: the change would need a next start, which a transient domain does
            not have.
    """
    if change.vcpus is not None and (capabilities := capabilities_for(target.domain)) is not None:
        check_vcpus(capabilities, change.vcpus, _OF_VCPUS)
    if change.vcpus is not None and target.persistent:
        _check_topology(target.domain, change.vcpus)
    if target.persistent:
        return
    if change.memory_bytes is not None:
        if target.state is not ResourceState.RUNNING:
            raise _not_live("memory")
        if change.memory_bytes // KIB > _most(target.domain):
            raise _not_live("more memory than it has room for")
    if change.vcpus is not None and not _vcpus_fit(target, change.vcpus):
        raise _not_live("this number of processors")


def deferred(target: ResizeTarget, change: Resize) -> tuple[str, ...]:
    """Return the paths that can take effect only at the next start, whatever the guest does."""
    late = []
    if target.active and change.vcpus is not None and not _vcpus_fit(target, change.vcpus):
        late.append(VCPUS)
    memory = change.memory_bytes
    if target.active and memory is not None and not _memory_fits(target, memory // KIB):
        late.append(MEMORY)
    return tuple(late)


def _memory_fits(target: ResizeTarget, size: int) -> bool:
    """Return whether a domain has room for so many KiB; a paused guest cannot follow."""
    return target.state is ResourceState.RUNNING and size <= _most(target.domain)


def apply(target: ResizeTarget, change: Resize, timing: ResizeTiming) -> tuple[str, ...]:
    """Set memory and processors; return the paths that take effect at the next start.

    Raises:
        CapabilityMissingError: a transient domain does not follow.
    """
    deferred = []
    if change.vcpus is not None and not _set_vcpus(target, change.vcpus):
        deferred.append(VCPUS)
    if change.memory_bytes is not None and not _set_memory(target, change.memory_bytes, timing):
        deferred.append(MEMORY)
    return tuple(deferred)


def _check_topology(domain: libvirt.virDomain, vcpus: int) -> None:
    root = Node.of(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    topology = root.first("cpu/topology")
    most = root.first("vcpu").content().count()
    if topology and vcpus > most:
        parts = ("sockets", "dies", "cores", "threads")
        laid = " x ".join(f"{topology.attribute(part).count() or 1} {part}" for part in parts)
        raise InvalidArgumentError.of(
            _OF_VCPUS,
            f"must be at most {most}, because the XML of the domain lays its processors out as "
            f"{laid}; change its <topology> with libvirt's own tools for more",
        )


def _not_live(what: str) -> CapabilityMissingError:
    return CapabilityMissingError(
        f"{what} for a transient domain",
        driver=ENGINE,
        hint="it has no next start for which this could be noted",
    )


def _vcpus_fit(target: ResizeTarget, vcpus: int) -> bool:
    """Return whether this number of processors can be reached by hotplug.

    An unplug needs the guest's cooperation, which libvirt cannot wait for.
    """
    now = target.domain.vcpusFlags(_LIVE)
    most = target.domain.vcpusFlags(_LIVE | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
    return bool(now <= vcpus <= most)


def _set_memory(target: ResizeTarget, memory_bytes: int, timing: ResizeTiming) -> bool:
    """Set the memory; return whether the domain has it now, or is about to."""
    size = memory_bytes // KIB
    if not target.active:
        target.domain.setMemoryFlags(size, _CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
        target.domain.setMemoryFlags(size, _CONFIG)
        return True
    followed = _memory_fits(target, size) and _set_balloon(target.domain, size, timing)
    if not target.persistent:
        if not followed:
            raise _not_live("memory that the guest's balloon does not give")
        return True
    # What the balloon does not reach takes effect at the next start.
    if not followed or size > _next_maximum(target.domain):
        target.domain.setMemoryFlags(size, _CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
    target.domain.setMemoryFlags(size, _CONFIG)
    return followed


def _set_vcpus(target: ResizeTarget, vcpus: int) -> bool:
    """Set the processors; return whether the domain has them now."""
    domain = target.domain
    live = target.active and _vcpus_fit(target, vcpus) and _tried(domain.setVcpusFlags, vcpus)
    if not target.persistent and not live:
        raise _not_live("processors that this machine cannot be given")
    if target.persistent:
        most = domain.vcpusFlags(_CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
        # The maximum is never lowered.
        if vcpus > most:
            domain.setVcpusFlags(vcpus, _CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
        domain.setVcpusFlags(vcpus, _CONFIG)
    return live or not target.active


def _most(domain: libvirt.virDomain) -> int:
    """Return the largest memory, in KiB, of the running domain."""
    return int(domain.info()[1])


def _set_balloon(domain: libvirt.virDomain, size: int, timing: ResizeTiming) -> bool:
    """Set the balloon to `size` KiB of memory; return whether the guest follows.

    If the guest does not follow, set the old size again, lest it follows later.
    """
    before = domain.info()[2]
    if not _tried(domain.setMemoryFlags, size):
        return False
    if before == size or _soon(lambda: domain.info()[2] != before, timing):
        _soon(lambda: domain.info()[2] == size, timing)
        return True
    domain.setMemoryFlags(before, _LIVE)
    return False


def _tried(change: Callable[[int, int], object], value: int) -> bool:
    """Apply a live change; return whether the domain supports it."""
    try:
        change(value, _LIVE)
    except libvirt.libvirtError as error:
        if code_of(error) not in _CANNOT:
            raise
        return False
    return True


def _next_maximum(domain: libvirt.virDomain) -> int:
    """Return the largest memory, in KiB, of the next start."""
    return domain_of(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).max_memory_bytes // KIB


def _soon(so: Callable[[], bool], timing: ResizeTiming) -> bool:
    end = time.monotonic() + timing.balloon_timeout.total_seconds()
    while not so():
        if time.monotonic() > end:
            return False
        time.sleep(timing.check_interval.total_seconds())
    return True
