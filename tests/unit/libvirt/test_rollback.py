"""Undoing what a create that failed has made."""

import libvirt
import structlog

from proad.drivers.libvirt.rollback import Rollback
from proad.errors import ResourceNotFoundError


def test_undo_with_a_failing_step_leaves_the_earlier_ones_and_logs_them():
    undone: list[str] = []

    def gone(_connection: object) -> None:
        undone.append("gone")
        raise ResourceNotFoundError("some-id")

    def refused(_connection: object) -> None:
        undone.append("refused")
        raise libvirt.libvirtError("in use")

    rollback = Rollback()
    rollback.on_failure("first", lambda _: undone.append("first"))
    rollback.on_failure("refused", refused)
    rollback.on_failure("gone", gone)
    rollback.on_failure("last", lambda _: undone.append("last"))
    with structlog.testing.capture_logs() as logs:
        rollback.undo(None)
    assert undone == ["last", "gone", "refused"]
    assert [(each["event"], each["what"]) for each in logs] == [
        ("libvirt.left_behind", ["refused", "first"])
    ]
