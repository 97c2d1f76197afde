import libvirt
import pytest

from proad.drivers.libvirt.state import state_of
from proad.model import ResourceState, StateReason

S, R = ResourceState, StateReason


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("RUNNING", "RUNNING_BOOTED", (S.RUNNING, None)),
        ("RUNNING", "RUNNING_FROM_SNAPSHOT", (S.RUNNING, R.FROM_SNAPSHOT)),
        ("BLOCKED", "BLOCKED_UNKNOWN", (S.RUNNING, None)),
        ("PAUSED", "PAUSED_UNKNOWN", (S.PAUSED, None)),
        ("PAUSED", "PAUSED_DUMP", (S.PAUSED, R.OTHER)),
        ("PAUSED", "PAUSED_USER", (S.PAUSED, R.USER)),
        ("PAUSED", "PAUSED_IOERROR", (S.PAUSED, R.IO_ERROR)),
        ("PAUSED", "PAUSED_WATCHDOG", (S.PAUSED, R.WATCHDOG)),
        ("PAUSED", "PAUSED_MIGRATION", (S.PAUSED, R.MIGRATING)),
        ("PAUSED", "PAUSED_FROM_SNAPSHOT", (S.PAUSED, R.FROM_SNAPSHOT)),
        ("PAUSED", "PAUSED_SAVE", (S.STOPPING, R.SAVING)),
        ("PAUSED", "PAUSED_SHUTTING_DOWN", (S.STOPPING, None)),
        ("PAUSED", "PAUSED_STARTING_UP", (S.STARTING, None)),
        ("PAUSED", "PAUSED_CRASHED", (S.FAILED, R.CRASHED)),
        ("SHUTDOWN", "SHUTDOWN_USER", (S.STOPPING, None)),
        ("PMSUSPENDED", "PMSUSPENDED_UNKNOWN", (S.SUSPENDED, None)),
        ("CRASHED", "CRASHED_PANICKED", (S.FAILED, R.CRASHED)),
        ("SHUTOFF", "SHUTOFF_UNKNOWN", (S.STOPPED, None)),
        ("SHUTOFF", "SHUTOFF_SHUTDOWN", (S.STOPPED, R.COMPLETED)),
        ("SHUTOFF", "SHUTOFF_DESTROYED", (S.STOPPED, R.KILLED)),
        ("SHUTOFF", "SHUTOFF_CRASHED", (S.FAILED, R.CRASHED)),
        ("SHUTOFF", "SHUTOFF_FAILED", (S.FAILED, R.ERROR)),
        ("SHUTOFF", "SHUTOFF_FROM_SNAPSHOT", (S.STOPPED, R.FROM_SNAPSHOT)),
        ("SHUTOFF", "SHUTOFF_SAVED", (S.STOPPED, None)),
    ],
)
def test_state_of_each_reason_follows_the_table(
    state: str, reason: str, expected: tuple[ResourceState, StateReason | None]
):
    numbers = getattr(libvirt, f"VIR_DOMAIN_{state}"), getattr(libvirt, f"VIR_DOMAIN_{reason}")
    ours, detail = state_of(*numbers, saved=False)
    assert (ours, detail.reason) == expected
    assert bool(detail.message) == (ours is S.FAILED and state != "CRASHED")


@pytest.mark.parametrize("reason", range(9))
def test_state_of_a_stopped_domain_with_a_saved_image_is_saved(reason: int):
    assert state_of(libvirt.VIR_DOMAIN_SHUTOFF, reason, saved=True)[0] is S.SAVED


def test_state_of_a_running_domain_with_a_saved_image_is_running():
    assert state_of(libvirt.VIR_DOMAIN_RUNNING, 1, saved=True)[0] is S.RUNNING


def test_state_of_a_newer_libvirt_is_other_and_told():
    ours, detail = state_of(99, 99, saved=False)
    assert (ours, detail.reason) == (S.OTHER, None)
    assert "99" in detail.message


@pytest.mark.parametrize(("state", "ours"), [("PAUSED", S.PAUSED), ("SHUTOFF", S.STOPPED)])
def test_reason_of_a_newer_libvirt_is_other(state: str, ours: ResourceState):
    found, detail = state_of(getattr(libvirt, f"VIR_DOMAIN_{state}"), 99, saved=False)
    assert (found, detail.reason) == (ours, R.OTHER)
