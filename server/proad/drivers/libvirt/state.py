"""libvirt's states and their reasons, as states and reasons of the contract."""

import libvirt

from proad.model import ResourceState, StateDetail, StateReason

_S = ResourceState
_R = StateReason

_ACTIVE = {
    libvirt.VIR_DOMAIN_NOSTATE: _S.STARTING,
    libvirt.VIR_DOMAIN_RUNNING: _S.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: _S.RUNNING,
    libvirt.VIR_DOMAIN_SHUTDOWN: _S.STOPPING,
    libvirt.VIR_DOMAIN_PMSUSPENDED: _S.SUSPENDED,
}

_PAUSED: dict[int, tuple[ResourceState, StateReason | None]] = {
    libvirt.VIR_DOMAIN_PAUSED_UNKNOWN: (_S.PAUSED, None),
    libvirt.VIR_DOMAIN_PAUSED_USER: (_S.PAUSED, _R.USER),
    libvirt.VIR_DOMAIN_PAUSED_MIGRATION: (_S.PAUSED, _R.MIGRATING),
    libvirt.VIR_DOMAIN_PAUSED_POSTCOPY: (_S.PAUSED, _R.MIGRATING),
    libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED: (_S.PAUSED, _R.MIGRATING),
    libvirt.VIR_DOMAIN_PAUSED_SAVE: (_S.STOPPING, _R.SAVING),
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: (_S.PAUSED, _R.IO_ERROR),
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: (_S.PAUSED, _R.WATCHDOG),
    libvirt.VIR_DOMAIN_PAUSED_FROM_SNAPSHOT: (_S.PAUSED, _R.FROM_SNAPSHOT),
    libvirt.VIR_DOMAIN_PAUSED_SHUTTING_DOWN: (_S.STOPPING, None),
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: (_S.FAILED, _R.CRASHED),
    libvirt.VIR_DOMAIN_PAUSED_STARTING_UP: (_S.STARTING, None),
}

_SHUTOFF: dict[int, tuple[ResourceState, StateReason | None]] = {
    # Never run, or libvirtd has been restarted since.
    libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN: (_S.STOPPED, None),
    # The image of the saved state has been removed.
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED: (_S.STOPPED, None),
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: (_S.STOPPED, _R.COMPLETED),
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: (_S.STOPPED, _R.KILLED),
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: (_S.FAILED, _R.CRASHED),
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED: (_S.FAILED, _R.ERROR),
    libvirt.VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT: (_S.STOPPED, _R.FROM_SNAPSHOT),
    libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED: (_S.STOPPED, _R.MIGRATING),
    # libvirtd found a broken QEMU when it started, and killed it.
    libvirt.VIR_DOMAIN_SHUTOFF_DAEMON: (_S.STOPPED, _R.KILLED),
}

_RUNNING = {libvirt.VIR_DOMAIN_RUNNING_FROM_SNAPSHOT: _R.FROM_SNAPSHOT}

_WORDS = {
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED): "QEMU could not be started",
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED): "QEMU or the guest crashed",
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_CRASHED): "the guest crashed",
}


def state_of(state: int, reason: int, *, saved: bool) -> tuple[ResourceState, StateDetail]:
    """Translate a state of libvirt.

    Args:
        state: `virDomainState`.
        reason: the reason of the state.
        saved: whether the domain has a managed-save image.
    """
    ours, why = _translate(state, reason, saved=saved)
    words = _WORDS.get((state, reason), "")
    if ours is _S.OTHER:
        words = f"libvirt tells a state that is not known: {state}"
    return ours, StateDetail(reason=why, message=words)


def _translate(state: int, reason: int, *, saved: bool) -> tuple[ResourceState, StateReason | None]:
    if state == libvirt.VIR_DOMAIN_PAUSED:
        # Such as a snapshot or a dump of the memory, which end within moments.
        return _PAUSED.get(reason, (_S.PAUSED, _R.OTHER))
    if state == libvirt.VIR_DOMAIN_CRASHED:
        return _S.FAILED, _R.CRASHED
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return (_S.SAVED, None) if saved else _SHUTOFF.get(reason, (_S.STOPPED, _R.OTHER))
    if state == libvirt.VIR_DOMAIN_RUNNING:
        return _S.RUNNING, _RUNNING.get(reason)
    return _ACTIVE.get(state, _S.OTHER), None
