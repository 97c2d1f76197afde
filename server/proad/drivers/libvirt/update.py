"""Changing existing domains; used on the driver's threads."""

from dataclasses import replace

import libvirt

from proad.drivers.libvirt import metadata
from proad.drivers.libvirt.errors import ENGINE, code_of, seek
from proad.drivers.libvirt.reading import KIB, Reader
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    InvalidArgumentError,
    ResourceRunningError,
)
from proad.model import DomainUpdate, Resource, ResourceUpdate, Verb, allowed_verbs, refusal
from proad.model.verbs import INACTIVE

_NOTHING = DomainUpdate()


def apply(reader: Reader, domain: libvirt.virDomain, update: ResourceUpdate) -> None:
    """Change what `update` names, after all that can be checked has been.

    Raises:
        CapabilityMissingError: it is about a container.
        InvalidArgumentError: it asks a running domain for
            more memory than it may have.
        ResourceRunningError: what it names can be changed of a stopped domain alone.
        AlreadyExistsError: the new name is taken.
    """
    before = reader.summary(domain)
    if update.container is not None:
        raise CapabilityMissingError(
            "changing a domain as a container", driver=ENGINE, hint="use `domain`"
        )
    if error := refusal(Verb.UPDATE, before):
        raise error
    change = update.domain or _NOTHING
    _check(domain, before, update, change)
    # Of a running domain, what runs and what the next start will use.
    flags = libvirt.VIR_DOMAIN_AFFECT_CURRENT
    if domain.isActive() and domain.isPersistent():
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if update.labels is not None:
        noted = metadata.read(domain)
        metadata.write(domain, replace(noted, labels=update.labels.entries), flags)
    if change.title is not None:
        _set_text(domain, libvirt.VIR_DOMAIN_METADATA_TITLE, change.title, flags)
    if change.description is not None:
        _set_text(domain, libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, change.description, flags)
    _apply_limits(domain, before, change, flags)
    if change.autostart is not None:
        domain.setAutostart(int(change.autostart))
    if update.name is not None and update.name != before.name:
        domain.rename(update.name)


def _apply_limits(
    domain: libvirt.virDomain, before: Resource, change: DomainUpdate, flags: int
) -> None:
    if change.memory_bytes is not None:
        if before.state in INACTIVE:
            domain.setMemoryFlags(change.memory_bytes // KIB, libvirt.VIR_DOMAIN_MEM_MAXIMUM)
        domain.setMemoryFlags(change.memory_bytes // KIB, flags)
    if change.vcpus is not None:
        domain.setVcpusFlags(
            change.vcpus, libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM
        )
        domain.setVcpusFlags(change.vcpus, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _check(
    domain: libvirt.virDomain, before: Resource, update: ResourceUpdate, change: DomainUpdate
) -> None:
    active = before.state not in INACTIVE
    renamed = update.name is not None and update.name != before.name
    if active and (renamed or change.vcpus is not None):
        raise ResourceRunningError(
            id=before.id,
            name=before.name,
            state=before.state,
            verb=f"{Verb.UPDATE} of {'name' if renamed else 'vcpus'}",
            allowed_verbs=allowed_verbs(before.kind, before.state),
        )
    maximum = before.domain.max_memory_bytes if before.domain is not None else 0
    if active and change.memory_bytes is not None and change.memory_bytes > maximum:
        raise InvalidArgumentError.of(
            "domain.memory_bytes", f"a running domain may have at most its {maximum} bytes"
        )
    if renamed and update.name is not None:
        _refuse_taken(domain.connect(), update.name)


def _refuse_taken(connection: libvirt.virConnect, name: str) -> None:
    try:
        existing = seek(connection.lookupByName, name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return
    raise AlreadyExistsError("domain", name, existing_id=existing.UUIDString())


def _set_text(domain: libvirt.virDomain, kind: int, text: str, flags: int) -> None:
    # None takes the element away; an empty one would stay.
    domain.setMetadata(kind, text or None, None, None, flags)
