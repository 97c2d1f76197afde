"""Private engines that were killed leave nothing running when they are stopped."""

import signal
from contextlib import ExitStack, suppress
from pathlib import Path

import libvirt
import pytest

from engine_processes import processes_of
from guest.media import import_image
from integration.docker.private_engine import PrivateEngine
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from soak.bare import Docker
from soak.setting import IMAGE, folder, wait_through_outages


def _names(folder: Path) -> set[str]:
    names = set()
    for pid in processes_of(folder):
        with suppress(OSError):  # it has ended
            names.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return names


@pytest.mark.docker
def test_stop_of_a_killed_dockerd_ends_its_containers():
    with folder() as home, ExitStack() as stack:
        engine = PrivateEngine(home)
        stack.callback(engine.stop)
        engine.start()
        docker = Docker(engine.url)
        wait_through_outages(lambda: docker.containers() == [], "dockerd answers")
        import_image(engine.url)
        body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        docker.on(docker("POST", "/containers/create", body)["Id"], "start")
        engine.signal(signal.SIGKILL)
        assert {"sleep", "containerd-shim"} <= _names(home)

        engine.stop()

        assert processes_of(home) == []


@pytest.mark.libvirt
def test_stop_of_a_killed_libvirtd_ends_its_domains_also_without_their_pid_files():
    with folder() as home, ExitStack() as stack:
        libvirtd = PrivateLibvirtd(home)
        stack.callback(libvirtd.stop)
        libvirtd.start()
        connection = libvirtd.connected()
        connection.createXML(
            "<domain type='qemu'><name>proa-test</name><memory unit='MiB'>32</memory>"
            "<os><type>hvm</type></os></domain>",
            libvirt.VIR_DOMAIN_START_PAUSED,
        )
        libvirtd.signal(signal.SIGKILL)
        connection.close()
        for file in (home / "run/qemu").glob("*.pid"):
            file.unlink()
        assert len(processes_of(home)) == 1

        libvirtd.stop()

        assert processes_of(home) == []
