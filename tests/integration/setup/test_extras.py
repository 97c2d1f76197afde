"""Commands without their extra name the extra."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)


@pytest.fixture(scope="module")
def bin(tmp_path_factory: pytest.TempPathFactory, package_index: None) -> Path:
    """Create an environment with the client alone, and return the folder of its commands."""
    folder = tmp_path_factory.mktemp("venv")
    assert run(sys.executable, "-m", "venv", folder).returncode == 0
    install: list[str | Path] = [
        folder / "bin/pip",
        "install",
        "-q",
        "-c",
        ROOT / "constraints.txt",
    ]
    done = run(*install, ROOT)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_client_without_extras_works(bin: Path):
    done = run(bin / "python", "-c", "import proa; print(proa.__version__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout[0].isdecimal()


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["proa", "ls"], "cli"),
        (["proad", "serve"], "server"),
        (["proad", "--help"], "server"),
        (["python", "-m", "proad"], "server"),
    ],
)
def test_command_without_extra_names_extra_and_install_command(
    bin: Path, command: list[str], extra: str
):
    done = run(bin / command[0], *command[1:])
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    name = "proa" if command[0] == "proa" else "proad"
    assert line == (
        f"{name}: the extra '{extra}' is not installed (no module typer); "
        f"install it with: pip install 'proa[{extra}]'"
    )


def test_daemon_with_client_extra_alone_names_daemon_extra(bin: Path):
    # The environment has typer, but nothing else that the daemon needs.
    done = run(bin / "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{ROOT}[cli]")
    assert done.returncode == 0, done.stderr
    assert run(bin / "proa", "--version").returncode == 0
    done = run(bin / "proad", "serve")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("proad: the extra 'server' is not installed (no module ")
