"""The daemon's memory holds keys and passwords: the kernel writes no core of it."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from eventually import wait_until
from integration.daemon.conftest import BIN, Daemon

SLEEPER = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]


def allow_cores() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def start(
    command: Sequence[str | Path], folder: Path, **options: object
) -> "subprocess.Popen[bytes]":
    # Only this test has a thread by now, and the limit must be the child's alone.
    return subprocess.Popen(command, cwd=folder, preexec_fn=allow_cores, **options)  # type: ignore[call-overload, no-any-return]  # noqa: PLW1509


def dumps_core(process: "subprocess.Popen[bytes]") -> bool:
    """Crash a process, and return whether the kernel wrote a core of it, to a file or a program."""
    process.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == -signal.SIGSEGV
    return os.WCOREDUMP(status)


@pytest.fixture
def cores(tmp_path: Path) -> Path:
    """A folder where cores are written; skip where the kernel or the limits allow none."""
    folder = tmp_path / "cores"
    folder.mkdir()
    with start(SLEEPER, folder, stdout=subprocess.PIPE) as sleeper:
        assert sleeper.stdout is not None
        sleeper.stdout.readline()  # what crashes while its interpreter begins may end otherwise
        if not dumps_core(sleeper):
            pytest.skip("no process here leaves a core")
    for core in folder.iterdir():
        core.unlink()
    return folder


def test_daemon_that_crashes_leaves_no_core(cores: Path, tmp_path: Path):
    daemon = Daemon(tmp_path, {})
    with (tmp_path / "log").open("wb") as log:
        process = start(
            [BIN / "proad", "serve", "--memory"], cores, env=daemon.environment, stderr=log
        )
        try:
            wait_until(lambda: any(event["event"] == "serving" for event in daemon.log()))
            dumped = dumps_core(process)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()

    assert not dumped
    assert list(cores.iterdir()) == []


def test_command_that_crashes_leaves_no_core(cores: Path, tmp_path: Path):
    """A command reads passwords, too: it waits here for one on its standard input."""
    environment = Daemon(tmp_path, {}).environment
    command: list[str | Path] = [BIN / "proad", "user", "add", "ann", "--password-stdin"]
    process = start(command, cores, env=environment, stdin=subprocess.PIPE)
    wait_until(lambda: _core_limit(process.pid) == "0", "the process is hardened")

    assert not dumps_core(process)
    assert list(cores.iterdir()) == []
    assert process.stdin is not None
    process.stdin.close()


def _core_limit(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4] for line in lines if line.startswith("Max core file size"))
