"""A private dockerd, which a test may kill."""

import asyncio
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from engine_processes import end_processes
from guest.media import import_image
from proad.drivers.docker import DockerDriver
from proad.errors import EngineTimedOutError, EngineUnreachableError
from requirements import require_root_and


class PrivateEngine:
    """A dockerd without a network and without foreign containers, started and stopped by the test."""

    def __init__(self, folder: Path, **environment: str) -> None:
        require_root_and("dockerd")
        self._environment = os.environ | environment
        self.url = f"unix://{folder}/docker.sock"
        self._folder = folder
        self.pass_fds: tuple[int, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return how it is started."""
        return [
            # Use a network namespace of its own: a dockerd without a bridge deletes the bridge of the host.
            "unshare",
            "--net",
            "dockerd",
            f"--host={self.url}",
            f"--data-root={self._folder}/data",
            f"--exec-root={self._folder}/exec",
            f"--pidfile={self._folder}/pid",
            "--bridge=none",
            "--iptables=false",
        ]

    def start(self) -> None:
        # A containerd that died with its dockerd, and that nobody reaped, would pass for
        # a living one.
        (self._folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self._environment,
                stdout=log,
                stderr=log,
                pass_fds=self.pass_fds,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self._process.wait(60)

    def stop(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
        end_processes(self._folder)
        data = str(self._folder / "data")
        # A killed dockerd leaves its mounts behind, and os.path.ismount does not see them.
        for _ in re.findall(f" {re.escape(data)} ", Path("/proc/self/mounts").read_text()):
            subprocess.run(["umount", data], check=True)

    async def import_image(self) -> None:
        """Import the image of the tests."""
        await asyncio.to_thread(import_image, self.url)

    @staticmethod
    async def answers(driver: DockerDriver) -> bool:
        """Return whether an engine answers."""
        try:
            await driver.probe()
        except (EngineUnreachableError, EngineTimedOutError):  # it listens before it answers
            return False
        return True
