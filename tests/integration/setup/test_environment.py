"""deploy/environment.sh on a small project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "small"
version = "1"
[project.optional-dependencies]
server = []
cli = ["shellingham"]
[dependency-groups]
dev = ["iniconfig"]
"""


class Clone:
    """A folder with the script and a project of few requirements."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        (folder / "small").mkdir()
        (folder / "small/__init__.py").touch()
        (folder / "pyproject.toml").write_text(PROJECT)
        shutil.copy(ROOT / "constraints.txt", folder)
        # A project of few requirements generates nothing, either.
        (folder / "protos/generators").mkdir(parents=True)
        (folder / "protos/generators/messages.txt").touch()
        (folder / "protos/generators.py").touch()

    def environment(self, *arguments: str, python: str = "") -> str:
        """Run the script and return its output."""
        done = self.run(*arguments, python=python)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str, python: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "deploy/environment.sh", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
            env=os.environ | {"PYTHON": python},
        )

    def python(self, code: str) -> str:
        command = [str(self.folder / ".venv/bin/python"), "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.splitlines()[-1]


def other_python() -> str:
    """Return an interpreter of an installation other than the tests' own."""
    for folder in ["/usr/bin", *os.environ["PATH"].split(os.pathsep)]:
        python = Path(folder) / "python3"
        if python.exists():
            command = [str(python), "-c", "import ensurepip, sys; print(sys.base_prefix)"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() != sys.base_prefix:
                return str(python)
    return ""


@pytest.fixture
def clone(tmp_path: Path, package_index: None) -> Clone:
    return Clone(tmp_path / "clone")


def test_environment_for_users_has_no_tools_until_asked(clone: Clone):
    assert "installing" in clone.environment(python=sys.executable)
    assert clone.python("import small, shellingham, sys; print(sys.base_prefix)") == sys.base_prefix
    assert "No module named 'iniconfig'" in clone.python("import iniconfig")

    assert clone.environment() == ""
    assert clone.environment("--dev") == "environment.sh: adding the tools for development\n"
    assert clone.python("import iniconfig, shellingham") == ""
    assert clone.environment("--dev") == ""


def test_environment_when_moved_is_recreated(clone: Clone, tmp_path: Path):
    clone.environment(python=sys.executable)
    clone.folder = clone.folder.rename(tmp_path / "moved")
    other = other_python()
    assert "installing" in clone.environment(python=other)
    command = [
        str(clone.folder / ".venv/bin/pip"),
        "--version",
    ]  # the first line of the script names a path
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert str(clone.folder) in told
    if not other:
        pytest.skip("there is no second interpreter: only the move was tried")
    # Without a named interpreter, the environment stays.
    assert clone.environment() == ""
    assert clone.python("import sys; print(sys.base_prefix)") != sys.base_prefix
    assert "installing" in clone.environment(python=sys.executable)
    assert clone.python("import sys; print(sys.base_prefix)") == sys.base_prefix


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("no-such-python", "there is no command no-such-python"),
        ("/no/such/python3.13", "there is no command /no/such/python3.13"),
        ("/bin/false", "/bin/false does not run as a Python"),
    ],
)
def test_environment_with_invalid_interpreter_names_it(tmp_path: Path, python: str, told: str):
    clone = Clone(tmp_path / "clone")
    done = clone.run(python=python)
    assert done.returncode != 0
    assert told in done.stderr
    assert not (clone.folder / ".venv").exists()


def test_environment_with_missing_interpreter_is_recreated(clone: Clone):
    (clone.folder / ".venv/bin").mkdir(parents=True)
    (clone.folder / ".venv/bin/python").symlink_to("gone")
    assert "installing" in clone.environment()
    assert clone.python("import small; print('here')") == "here"
