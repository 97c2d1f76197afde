"""deploy/generations fetches engines or says why not; .ci/run reports what its parts took."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import choice
from string import ascii_lowercase

import pytest

from requirements import require_root_and

ROOT = Path(__file__).parents[3]
TREE = ROOT / "deploy/generations/tree.sh"
CACHE = Path(f"/var/tmp/proa-engines-{os.geteuid()}")


@pytest.fixture
def suite() -> Iterator[str]:
    """Yield a name that no suite of Debian has, and see to it that nothing of it is left."""
    name = "proatest" + "".join(choice(ascii_lowercase) for _ in range(8))
    yield name
    (CACHE / f"{name}.lock").unlink(missing_ok=True)
    assert list(CACHE.glob(f"{name}*")) == []


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_tree_without_network_fails_with_the_words_of_apt(suite: str):
    require_root_and("apt-get")
    done = run("unshare", "--net", TREE, suite)
    assert (done.returncode, done.stdout) == (1, "")
    assert "E: Failed to fetch" in done.stderr
    assert f"could not fetch the packages of {suite}" in done.stderr


def test_tree_without_mirror_of_debian_fails_with_advice(suite: str, tmp_path: Path):
    require_root_and("apt-get")
    (tmp_path / "apt-get").write_text("#!/bin/sh\n")
    (tmp_path / "apt-get").chmod(0o755)
    done = run(TREE, suite, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt is configured with no mirror of Debian" in done.stderr


@pytest.mark.parametrize("name", ["", "..", "sid/../x", "Sid"])
def test_tree_of_no_suite_is_refused(name: str):
    done = run(TREE, name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "tree.sh: " in done.stderr


def test_ci_part_over_its_budget_is_warned_of_and_fails_nothing(tmp_path: Path):
    done = run("bash", ci(tmp_path, "part quick 1 true", "part slow -1 true", "part last 1 true"))
    assert done.returncode == 0
    told = {line.split()[0]: line for line in done.stdout.splitlines() if ":" in line}
    assert told.keys() == {"quick", "slow", "last"}
    assert {name for name, line in told.items() if "WARNING" in line} == {"slow"}


def test_ci_part_that_fails_ends_the_run_with_the_report(tmp_path: Path):
    done = run(
        "bash", ci(tmp_path, "part first 1 true", "part second 1 false", "part third 1 true")
    )
    assert done.returncode == 1
    told = [line.split() for line in done.stdout.splitlines() if ":" in line]
    assert [(words[0], words[-1]) for words in told] == [("first", "1"), ("second", "FAILED")]


def ci(folder: Path, *parts: str) -> Path:
    """Return a copy of .ci/run with other parts."""
    script = (ROOT / ".ci/run").read_text().partition("\npart setup ")[0]
    copy = folder / ".ci/run"
    copy.parent.mkdir()
    copy.write_text("\n".join([script, *parts, ""]))
    return copy
