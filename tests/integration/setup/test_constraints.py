"""The pinned versions, checked against every Python that pyproject.toml promises."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OLDEST = "3.11.2"  # Debian 12's own
SOURCE_ONLY = (
    "libvirt-python"  # no wheel: pip would have to build it for a Python that is not installed
)


def promised() -> list[str]:
    """Return the Python versions of the classifiers, the oldest one in full."""
    classifiers = PROJECT["project"]["classifiers"]
    pattern = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    versions = [match[1] for each in classifiers if (match := pattern.fullmatch(each))]
    return [OLDEST if OLDEST.startswith(f"{version}.") else version for version in versions]


def requirements() -> list[str]:
    """Return all requirements of a development environment, with pip itself."""
    project = PROJECT["project"]
    groups = [*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    wanted = [*project["dependencies"], *(each for group in groups for each in group), "pip"]
    return [each for each in wanted if not each.startswith(SOURCE_ONLY)]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


def resolve(version: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of the packages that pip would install for a version of Python, by name."""
    report = folder / "report.json"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--only-binary=:all:",
        f"--python-version={version}",
        f"--target={folder / 'unused'}",
        f"--constraint={ROOT / 'constraints.txt'}",
        f"--report={report}",
        *requirements(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr
    installs = [each["metadata"] for each in json.loads(report.read_text())["install"]]
    return {canonicalize_name(each["name"]): each for each in installs}


def test_classifiers_list_debian_12_python_and_later():
    assert promised() == [OLDEST, "3.12", "3.13", "3.14"]


@pytest.mark.parametrize("version", promised())
@pytest.mark.usefixtures("package_index")
def test_constraints_resolve_to_exactly_the_pins(version: str, tmp_path: Path):
    found = resolve(version, tmp_path)
    pinned = pins()
    del pinned[SOURCE_ONLY]
    # Neither an unpinned package nor an unused pin.
    assert {name: each["version"] for name, each in found.items()} == pinned


@pytest.mark.parametrize("version", promised())
def test_constraints_pin_a_libvirt_binding_for_every_python(version: str):
    assert metadata.version(SOURCE_ONLY) == pins()[SOURCE_ONLY]
    admitted = metadata.metadata(SOURCE_ONLY)["Requires-Python"]
    assert version in SpecifierSet(admitted)
