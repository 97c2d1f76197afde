"""A libvirt behind a program that is started for each connection, as ssh is."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import libvirt
import pytest

from eventually import wait_until
from integration.daemon.conftest import Daemon
from requirements import skip_or_fail

pytestmark = pytest.mark.libvirt

ATTEMPTS = 4


@pytest.fixture
def tunnel(tmp_path: Path) -> Path:
    """A program in the place of ssh, which tells of each start and reaches nobody."""
    script = tmp_path / "tunnel"
    script.write_text(f"#!/bin/sh\necho >> {tmp_path}/attempts\nexit 1\n")
    script.chmod(0o755)
    (tmp_path / "attempts").touch()
    return script


def test_transport_that_fails_is_logged_once(
    tmp_path: Path, tunnel: Path, start_daemon: Callable[..., Daemon]
):
    try:
        libvirt.open("qemu:///system").close()
    except libvirt.libvirtError as error:
        skip_or_fail(f"no libvirtd: {error}")
    daemon = start_daemon(
        PROA_DOCKER_URL="",
        PROA_LIBVIRT_URI=f"qemu+ssh://elsewhere.example/system?command={tunnel}",
        # Where gRPC tells what it does about each child that is forked.
        GRPC_VERBOSITY="INFO",
    )
    attempts = tmp_path / "attempts"
    wait_until(lambda: len(attempts.read_text().splitlines()) >= ATTEMPTS, within=120)
    tunnel.write_text("#!/bin/sh\nexec virt-ssh-helper qemu:///system\n")
    wait_until(lambda: any(e["event"] == "engine answers" for e in daemon.log()), within=120)
    logged = [e for e in daemon.log() if "engine" in str(e["event"])]
    assert {(e["event"], e["level"]) for e in logged[:-1]} == {("engine lost", "warning")}
    assert (logged[-1]["event"], logged[-1]["level"]) == ("engine answers", "info")
    # A busy machine may see a probe time out before one fails.
    causes = [e["cause"] for e in logged[:-1]]
    assert all(cause != before for before, cause in pairwise(causes))
    assert len(causes) < ATTEMPTS
    assert "fork" not in (daemon.home / "log").read_text()
