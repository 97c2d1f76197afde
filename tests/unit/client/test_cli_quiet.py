"""What gRPC and Python have to say to developers is not for who types commands."""

import os
import subprocess
import sys
from pathlib import Path

PROA = Path(sys.executable).with_name("proa")


def said(**environment):
    """Return the lines on stderr of a command for which gRPC tells all that it does."""
    environ = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    environ |= {"GRPC_TRACE": "all", "PROA_TOKEN": "x.y.z", **environment}
    command: list[str | Path] = [PROA, "--target", "unix:/nowhere/proa.sock", "ls"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 6
    return done.stderr.splitlines()


def test_command_writes_no_line_of_grpc():
    assert len(said(GRPC_VERBOSITY="INFO")) > 100
    assert [line.partition(":")[0] for line in said()] == ["Error", "Hint"]


def test_command_interrupted_while_it_imports_ends_as_by_ctrl_c(tmp_path):
    (tmp_path / "grpc.py").write_text("raise KeyboardInterrupt\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([PROA, "ls"], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
