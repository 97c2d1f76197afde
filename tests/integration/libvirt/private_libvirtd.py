"""A private libvirtd, which a test may kill."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt

from engine_processes import end_processes
from requirements import require_root_and

SCRIPT = """
set -e
mount --bind {folder}/lib /var/lib/libvirt
mount --bind {folder}/run /run/libvirt
mount --bind {folder}/etc /etc/libvirt
mount --bind {folder}/cache /var/cache/libvirt
# Where KVM seems to be usable and is not, it asks QEMU about it again and again.
if [ -e /dev/kvm ]; then
    mount --bind {folder}/no-kvm /dev/kvm
    mount -o remount,bind,ro /dev/kvm
fi
exec {reaper} libvirtd --config {folder}/libvirtd.conf --pid-file {folder}/pid
"""
SOCKETS = """
unix_sock_dir = "{folder}/sock"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""
# Its QEMUs must live in our namespaces, and without virtlogd.
QEMU = """
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
"""


class PrivateLibvirtd:
    """A libvirtd in its own mount and network namespaces."""

    def __init__(self, folder: Path) -> None:
        require_root_and("libvirtd")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"qemu+unix:///system?socket={folder}/sock/libvirt-sock"
        for name in ("lib", "run", "etc", "sock", "cache"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "no-kvm").touch()
        (folder / "libvirtd.conf").write_text(SOCKETS.format(folder=folder))
        (folder / "etc/qemu.conf").write_text(QEMU)

    def start(self) -> None:
        """Start libvirtd unless it runs.

        libvirt takes a QEMU for running until it is reaped. The first process of the host may be
        slow at that; tini, where it is, does it at once.
        """
        if self._process is not None and self._process.poll() is None:
            return
        command = ["unshare", "--mount", "--net", "--propagation", "private", "bash", "-c"]
        script = SCRIPT.format(
            folder=self._folder, reaper="tini -s --" if shutil.which("tini") else ""
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, script], stdout=log, stderr=log)

    def connected(self) -> libvirt.virConnect:
        """Connect as soon as libvirtd answers."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return libvirt.open(self.uri)
            except libvirt.libvirtError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def run(self, *command: object) -> subprocess.Popen[bytes]:
        """Run a program in the namespaces of libvirtd, which answers already."""
        assert self._process is not None
        entered = ["nsenter", "--target", str(self._process.pid), "--mount", "--net"]
        return subprocess.Popen([*entered, *map(str, command)])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to libvirtd, which has answered since it was started."""
        assert self._process is not None
        os.kill(int((self._folder / "pid").read_text()), number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self._process.wait(60)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(60)
        end_processes(self._folder)

    def saved(self, name: str) -> Path:
        """Return the path of the saved state of a domain."""
        return self._folder / f"lib/qemu/save/{name}.save"

    def log(self) -> str:
        return (self._folder / "log").read_text()


@contextmanager
def private_libvirtd() -> Iterator[PrivateLibvirtd]:
    """Run a private libvirtd in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        libvirtd = PrivateLibvirtd(Path(name))
        libvirtd.start()
        try:
            yield libvirtd
        finally:
            libvirtd.stop()
