"""deploy/engines.sh lists missing packages, and no installed ones."""

import os
import subprocess
from pathlib import Path

import pytest

ENGINES = Path(__file__).parents[3] / "deploy/engines.sh"
NO_BUS = "error: internal error: Unable to get system bus connection"


@pytest.mark.parametrize(
    ("groups", "answer", "advice"),
    [
        ("ada", "error: Permission denied", "join the group libvirt and log in anew"),
        ("ada libvirt-qemu", "error: Permission denied", "join the group libvirt"),
        ("ada docker libvirt", "error: Connection refused", "you are in the group libvirt"),
        ("ada docker libvirt", NO_BUS, "start the system bus and polkit"),
    ],
)
def test_engines_check_without_libvirt_lists_missing_packages(
    tmp_path: Path, groups: str, answer: str, advice: str
):
    for name, line in [("id", f"echo {groups}"), ("virsh", f"echo {answer} >&2; exit 1")]:
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ENGINES, "--check"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    told = next(line for line in done.stderr.splitlines() if "libvirt does not answer" in line)
    assert f"({answer}). If it runs, " in told
    assert advice in told
    assert ("join the group" in told) == (groups != "ada docker libvirt")
