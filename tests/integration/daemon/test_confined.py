"""The daemon under the restrictions of deploy/proad.service, with real engines."""

import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import PASSWORD, Daemon
from proa import v1
from requirements import skip_or_fail

UNIT = Path(__file__).parents[3] / "deploy/proad.service"
CONFINE = Path(__file__).with_name("confine.py")
# Exposure from 0 to 10, as systemd-analyze counts it. A restriction less makes it more.
MOST_EXPOSED = 2.8


def test_unit_exposes_little():
    if shutil.which("systemd-analyze") is None:
        skip_or_fail("no systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", UNIT],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    exposure = re.search(r"exposure level for proad.service: ([\d.]+)", done.stdout)
    assert exposure is not None
    assert float(exposure[1]) <= MOST_EXPOSED


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[Daemon]:
    programs = ("unshare", "systemd-analyze")
    if os.geteuid() != 0 or platform.machine() != "x86_64" or not all(map(shutil.which, programs)):
        skip_or_fail("it takes root, x86-64, unshare and systemd-analyze to confine a daemon")
    home = tmp_path / "daemon"
    home.mkdir()
    path = home / "proa.sock"
    daemon = Daemon(home, {"PROA_LISTEN": f"unix:{path}", "PROA_SOCKET_GROUP": "daemon"})
    daemon.address = f"unix:{path}"
    own = ["unshare", "--mount", "--propagation", "private", sys.executable]
    daemon.prefix = [*own, str(CONFINE), str(UNIT), str(home)]
    try:
        daemon.start()
        yield daemon
        assert daemon.stop() == 0
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


def status(daemon: Daemon) -> dict[str, str]:
    assert daemon.process is not None
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def echoes(client: proa.Client, id: str) -> bool:
    """Return whether a container echoes at its address on the bridge: there is no other way in."""
    try:
        with client.forward_port(id, 7) as connection:
            assert not connection.address.startswith("127.")
            connection.write(b"ping")
            connection.end_input()
            return b"".join(connection) == b"ping"
    except proa.Unavailable:  # its server does not listen yet
        return False


def engines(client: proa.Client) -> list[v1.Engine]:
    return [*client.hosts.GetHost(v1.GetHostRequest()).host.engines]


@pytest.mark.docker
@pytest.mark.libvirt
def test_confined_daemon_serves_both_engines(
    confined: Daemon, token: str, swept: Callable[[proa.Client], None]
):
    known = status(confined)
    assert (known["NoNewPrivs"], known["Seccomp"]) == ("1", "2")
    assert int(known["CapEff"], 16) == int(known["CapBnd"], 16) == 1 << 0 | 1 << 2
    assert confined.process is not None
    mounts = Path(f"/proc/{confined.process.pid}/mountinfo").read_text().splitlines()
    options = {line.split()[4]: line.split()[5].split(",") for line in mounts}
    assert "ro" in options["/"]
    assert "rw" in options[str(confined.home)]
    socket = confined.home / "proa.sock"
    assert (stat.S_IMODE(socket.stat().st_mode), socket.group()) == (0o660, "daemon")

    client = proa.connect(confined.address, username="ada", password=PASSWORD)
    swept(client)
    box = client.containers.CreateContainer(
        v1.CreateContainerRequest(
            spec=v1.ContainerSpec(
                image="proa-test/busybox:1", name=f"{token}-box", command=["sleep", "600"]
            ),
            start=True,
        )
    ).resource
    disk = v1.NewDisk(capacity_bytes=2**20, format=v1.DISK_FORMAT_QCOW2)
    machine = client.domains.CreateDomain(
        v1.CreateDomainRequest(
            spec=v1.DomainSpec(
                name=f"{token}-vm",
                memory_bytes=32 * 2**20,
                disks=[v1.DiskSpec(new_volume=disk)],
                networkless=True,
            ),
            start=True,
        )
    ).resource
    for made in (box, machine):
        full = client.resources.GetResource(
            v1.GetResourceRequest(id=made.id, view=v1.RESOURCE_VIEW_FULL)
        ).resource
        assert full.state == v1.RESOURCE_STATE_RUNNING
    for made in (box, machine):
        client.resources.DeleteResource(v1.DeleteResourceRequest(id=made.id, force=True))
    web = client.containers.CreateContainer(
        v1.CreateContainerRequest(
            spec=v1.ContainerSpec(
                image="proa-test/busybox:1",
                name=f"{token}-web",
                command=["nc", "-ll", "-p", "7", "-e", "cat"],
                networks=[v1.NetworkAttachment(network="bridge")],
            ),
            start=True,
        )
    ).resource
    wait_until(lambda: echoes(client, web.id))
    with (
        pytest.raises(proa.Unimplemented, match="CAP_SYS_PTRACE"),
        client.forward_port(web.id, socket_path="/run/app.sock"),
    ):
        pytest.fail("it is connected")
    told = {each.ref.driver: {*each.capabilities} for each in engines(client)}
    ways = {v1.CAPABILITY_PORT_FORWARDING, v1.CAPABILITY_SOCKET_FORWARDING}
    assert told["docker"] & ways == {v1.CAPABILITY_PORT_FORWARDING}
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=web.id, force=True))
    confined.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any(event["event"] == "reloaded" for event in confined.log()))
