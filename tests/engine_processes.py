"""The processes of an engine that keeps all its files in one folder."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from eventually import wait_until


def end_processes(folder: Path) -> None:
    """Kill what an engine and its heirs have left running, and wait until it is gone.

    A dockerd or libvirtd that is killed leaves its containerd, shims, containers and QEMUs; what
    it was about to start, the next one may not know.
    """

    def none_left() -> bool:
        left = processes_of(folder)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_until(none_left, lambda: f"no processes of {folder}: {processes_of(folder)}", every=0.05)


def processes_of(folder: Path) -> list[int]:
    """Return the processes that work on a folder, but zombies."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in numbers if pid != os.getpid() and _is_of(pid, f"{folder}/".encode())]


def _is_of(pid: int, folder: bytes) -> bool:
    """Return whether a command line, a root or the state of libvirt is in a folder.

    The last two tell a container and a QEMU, whose command lines do not name the folder.
    """
    process = Path("/proc") / str(pid)
    try:
        mounts = (process / "mountinfo").read_bytes().splitlines()
        command = (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return False
    own = [line for line in mounts if line.split()[4] in {b"/", b"/var/lib/libvirt"}]
    return any(folder in each for each in (command, *own))
