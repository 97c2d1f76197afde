"""deploy/toolchains.sh names toolchains that no package of Debian's brings."""

import shutil
import subprocess
from pathlib import Path

import pytest

TOOLCHAINS = Path(__file__).parents[3] / "deploy/toolchains.sh"
PROGRAMS = {"go": "Go", "cargo": "Rust", "npm": "Node.js"}


@pytest.mark.parametrize("absent", [[], ["go"], ["cargo", "npm"]], ids="+".join)
def test_toolchains_without_program_names_its_toolchain(tmp_path: Path, absent: list[str]):
    # As on a host with all packages, whatever this one has.
    answers = {
        "dpkg-query": "echo installed",
        "javac": "",
        "mvn": "",
        **dict.fromkeys(PROGRAMS, ""),
    }
    for name, line in answers.items():
        if name not in absent:
            (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
            (tmp_path / name).chmod(0o755)
    bash, dirname = shutil.which("bash"), shutil.which("dirname")
    assert bash is not None
    assert dirname is not None
    (tmp_path / "dirname").symlink_to(dirname)

    done = subprocess.run(
        [bash, TOOLCHAINS],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == bool(absent)
    for program, toolchain in PROGRAMS.items():
        assert (f"missing: {toolchain} " in done.stderr) == (program in absent)
