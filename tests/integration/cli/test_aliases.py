"""Aliases for docker, kubectl and virsh users, and environment variables."""

import re
from pathlib import Path

import pytest

import proa
import proa.cli
from readme import README

SOURCES = [*Path(proa.__file__).parent.glob("*.py"), *Path(proa.cli.__file__).parent.glob("*.py")]
VARIABLES = {name for file in SOURCES for name in re.findall(r'"(PROA_[A-Z_]+)"', file.read_text())}


@pytest.fixture
def container(ann, name):
    ann.ok("run", "--name", name, "--label", f"test={name}", "debian:12", "sleep", "600")
    yield name
    ann.ok("rm", "--force", "--missing-ok", name)


def test_alias_runs_its_command(ann, container):
    for alias in ("ps", "list"):
        assert ann.ok(alias, "--label", f"test={container}") == ann.ok(
            "ls", "--label", f"test={container}"
        )
    assert ann.json("inspect", container) == ann.json("get", container)
    assert ann.json("info")[0]["name"] == ann.json("host")[0]["name"]
    [stats] = [ann.json("stats", "--once", container)]
    assert stats["name"] == container
    assert "Usage: proa" in ann.ok("events", "--help")
    ann.ok("pause", container)
    assert ann.ok("unpause", container) == f"{container} running\n"


def test_hint_after_alias_matches_its_command(ann):
    assert "Hint: proa ls --all shows what there is" in ann.fails(3, "inspect", "proa-test-none")


def test_help_lists_aliases_and_hides_missing_commands(cli):
    told = " ".join(cli.ok("--help").split())
    assert "ps is ls, list is ls, inspect is get, events is watch, stats is top" in told
    assert "info is host" in told
    lines = cli.ok("--help").splitlines()
    assert not any(line.split()[:1] == ["network"] for line in lines)


def test_version_prints_client_and_daemon(ann, daemon):
    ours = proa.__version__
    assert ann.ok("version") == f"proa {ours}\nproad {ours} at {daemon}\n"
    assert ann.json("version") == {"client": ours, "daemon": ours}


def test_version_without_a_daemon_prints_the_clients(ann):
    result = ann.run("--target", "unix:/nowhere", "version")
    assert result.exit_code == 6
    assert result.stdout == f"proa {proa.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        (["network", "ls"], "docker network, or virsh net-list"),
    ],
)
def test_missing_command_names_its_replacement(cli, typed, instead):
    result = cli.run(*typed)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: proa has no {typed[0]} yet; on the host: {instead}")


def test_variables_are_listed_in_help_and_readme(cli):
    assert {"PROA_TARGET", "PROA_TOKEN", "PROA_USERNAME", "PROA_PASSWORD"} <= VARIABLES
    told = cli.ok("--help"), README.read_text()
    assert [name for name in VARIABLES if any(name not in text for text in told)] == []
