"""The programs in other languages, built as docs/languages.md says and run against a daemon."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from integration.daemon.conftest import PASSWORD
from readme import LANGUAGES, README, blocks
from requirements import skip_or_fail

_SOURCES = Path(__file__).parent
_BUILT = README.parent / "build/stubs"
# Enough for a build that starts from nothing on a machine that runs other tests, too.
BUILD_TIMEOUT = 900


def require(*programs: str) -> None:
    """Skip the test where a program of a toolchain is missing."""
    if missing := [program for program in programs if shutil.which(program) is None]:
        skip_or_fail(f"not installed: {', '.join(missing)}; deploy/toolchains.sh does it")


def build(language: str, folder: str) -> Path:
    """Run the page's commands for a language beside its program, and return where that is.

    The folder is kept, so that the language's own tools build only what has changed.
    """
    built = _BUILT / folder
    shutil.copytree(_SOURCES / folder, built, dirs_exist_ok=True)
    if not (built / "protos").exists():
        (built / "protos").symlink_to(README.parent / "protos")
    commands = "".join(block.text for block in blocks(language, "sh", LANGUAGES))
    _run("bash", "-euc", commands, folder=built, timeout=BUILD_TIMEOUT)
    return built


@dataclass(frozen=True)
class Setting:
    """What a program is told: the daemon, an image that is there, and a name for its container."""

    address: str
    image: str
    name: str

    def play(self, folder: Path, *program: str) -> list[str]:
        """Run a program and return the lines that it prints."""
        return _run(
            *program, self.address, "ada", self.image, self.name, folder=folder
        ).splitlines()

    def expected(self) -> list[str]:
        """Return the lines of every program after the one that counts what is there."""
        return [
            f"running {self.name}",
            "refused proa.dev RESOURCE_ALREADY_RUNNING",
            f"removed {self.name}",
        ]


def _run(*command: str, folder: Path, timeout: int = 60) -> str:
    path = [str(Path(sys.executable).parent), os.environ["PATH"], str(Path.home() / "go/bin")]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": ":".join(path), "PROA_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
