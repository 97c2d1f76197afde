"""Updates of domains; used on the driver's threads."""

from dataclasses import dataclass, replace

import libvirt

from proad.drivers.libvirt import resize
from proad.drivers.libvirt.errors import ENGINE, code_of, seek, values_of
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage.nvram import keep_over_rename
from proad.drivers.libvirt.timing import ResizeTiming
from proad.drivers.libvirt.xml import metadata
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    Findings,
    HasSavedStateError,
    ResourceRunningError,
)
from proad.model import (
    DomainSpec,
    Lifetime,
    Resource,
    ResourceState,
    ResourceUpdate,
    UpdatePlan,
    Verb,
    refusal,
    verbs_of,
)

_CHANGEABLE = frozenset(
    {"name", "labels", "memory_bytes", "vcpus", "autostart", "title", "description"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """An update of a domain that has passed all checks.

    Attributes:
        plan: what it does.
        target: the domain.
        size: the size that it asks for.
        renamed: the new name; None: it keeps its name.
    """

    plan: UpdatePlan
    target: resize.ResizeTarget
    size: resize.Resize
    renamed: str | None


def plan(reader: DomainReader, domain: libvirt.virDomain, update: ResourceUpdate) -> UpdatePlan:
    """Return what an update would do, after all checks; raise as `apply` does."""
    return _planned(reader, domain, update).plan


def apply(
    reader: DomainReader, domain: libvirt.virDomain, update: ResourceUpdate, timing: ResizeTiming
) -> tuple[str, ...]:
    """Apply an update, after all checks; return the paths that take effect at the next start.

    Raises:
        InvalidArgumentError: the update is for a container, or needs more processors than the
            domain's topology has.
        CapabilityMissingError: libvirt cannot change a field, or not of a transient domain.
        ResourceRunningError: a running domain cannot be renamed.
        HasSavedStateError: the saved state would undo the update.
        AlreadyExistsError: the new name is taken.
    """
    planned = _planned(reader, domain, update)
    planned.plan.check()
    wanted, paths, target = update.wanted(DomainSpec), update.paths, planned.target
    # Of a running domain, both the live and the persistent configuration.
    flags = libvirt.VIR_DOMAIN_AFFECT_CURRENT
    if target.active and target.persistent:
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
    # Changes that QEMU may refuse come first.
    with values_of("domain"):
        deferred = resize.apply(target, planned.size, timing)
    if "labels" in paths:
        noted = metadata.read(domain)
        metadata.write(domain, replace(noted, labels=wanted.labels), flags)
    if "title" in paths:
        _set_text(domain, libvirt.VIR_DOMAIN_METADATA_TITLE, wanted.title, flags)
    if "description" in paths:
        _set_text(domain, libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, wanted.description, flags)
    if "autostart" in paths and target.persistent:
        domain.setAutostart(int(wanted.autostart))
    if planned.renamed is not None:
        keep_over_rename(domain)
        domain.rename(planned.renamed)
    return deferred


def _planned(reader: DomainReader, domain: libvirt.virDomain, update: ResourceUpdate) -> _Planned:
    """Check an update, and return what it does."""
    before = reader.summary(domain)
    wanted, paths = update.wanted(DomainSpec), update.paths
    size = resize.Resize(
        memory_bytes=wanted.memory_bytes if "memory_bytes" in paths else None,
        vcpus=wanted.vcpus if "vcpus" in paths else None,
    )
    target = resize.ResizeTarget(
        domain=domain,
        state=before.state,
        active=bool(domain.isActive()),
        persistent=before.lifetime is Lifetime.PERSISTENT,
    )
    late = resize.deferred(target, size)
    hint = "libvirt's own tools change its XML"
    planned = update.planned(_CHANGEABLE, late, driver=ENGINE, hint=hint)
    renamed = wanted.name if "name" in paths and wanted.name != before.name else None
    findings = Findings()
    with findings.noted():
        _check_state(before, update)
    if renamed is not None:
        with findings.noted():
            _check_name(target, before, renamed)
    with findings.noted():
        resize.check(target, size)
    with findings.noted():
        if "autostart" in paths and wanted.autostart and not target.persistent:
            raise CapabilityMissingError("autostart of a transient domain", driver=ENGINE)
    findings.check()
    return _Planned(plan=planned, target=target, size=size, renamed=renamed)


def _check_state(before: Resource, update: ResourceUpdate) -> None:
    if error := refusal(Verb.UPDATE, before):
        raise error
    if before.state is ResourceState.SAVED and update.is_undone_by_saved_state(before.name):
        raise HasSavedStateError.of_update(before.name)


def _check_name(target: resize.ResizeTarget, before: Resource, name: str) -> None:
    if target.active:
        raise ResourceRunningError(
            id=before.id,
            name=before.name,
            state=before.state,
            verb=f"{Verb.UPDATE} of name",
            allowed_verbs=verbs_of(before),
            hint="stop it first",
        )
    _refuse_taken(target.domain.connect(), name)


def _refuse_taken(connection: libvirt.virConnect, name: str) -> None:
    try:
        existing = seek(connection.lookupByName, name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return
    raise AlreadyExistsError("domain", name, existing_id=existing.UUIDString())


def _set_text(domain: libvirt.virDomain, kind: int, text: str, flags: int) -> None:
    # None removes the element; an empty text would keep it.
    domain.setMetadata(kind, text or None, None, None, flags)
