"""Commands whose case no daemon in memory can show."""

import json

import grpc
import pytest
from typer.testing import CliRunner

from proa import v1
from proa.cli.app import app


@pytest.fixture
def run(serve, small_daemon, monkeypatch, tmp_path):
    small_daemon.valid = {"ours"}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PROA_TOKEN", "ours")
    with serve() as target:
        yield lambda *arguments: CliRunner().invoke(app, ["--target", target, *arguments])


def test_ls_with_an_unreachable_engine_shows_the_rest_and_a_warning(run, small_daemon):
    small_daemon.unreachable = [v1.EngineRef(host="local", driver="docker")]
    result = run("ls", "-o", "json")
    assert result.exit_code == 6
    assert [one["name"] for one in json.loads(result.stdout)] == ["r0", "r1", "r2", "r3", "r4"]
    warning = "Warning: local/docker does not answer; what it has is missing here\n"
    assert result.stderr == warning


def test_pull_shows_its_progress_on_a_terminal(run, monkeypatch):
    quiet = run("pull", "debian:12")
    assert (quiet.stdout, quiet.stderr) == ("sha256:1\n", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    shown = run("pull", "debian:12")
    assert shown.stdout == "sha256:1\n"
    assert "Downloading" in shown.stderr
    for_programs = run("--output", "json", "pull", "debian:12")
    assert json.loads(for_programs.stdout) == {"id": "sha256:1"}
    assert for_programs.stderr == ""


def test_pull_that_fails_halfway_prints_the_error(run, small_daemon, status):
    small_daemon.stream_failure = status(grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND", "gone")
    result = run("pull", "debian:12")
    assert result.exit_code == 3
    assert "Reason: IMAGE_NOT_FOUND" in result.stderr


def test_ls_of_a_hostile_name_escapes_it(run, small_daemon):
    small_daemon.resources[0].name = "\x1b]0;gotcha\x07"
    result = run("ls")
    assert "\x1b" not in result.stdout
    assert "gotcha" in result.stdout


def test_unknown_choice_is_refused_in_plain_words(run):
    result = run("ls", "-o", "jso")
    assert result.exit_code == 2
    assert "'-o': 'jso' is not one of 'table', 'json'" in result.stderr


def test_run_privileged_is_refused_with_what_to_give_instead(run):
    result = run("run", "--privileged", "debian:12")
    assert result.exit_code == 2
    assert "no call makes privileged containers" in result.stderr
    assert "--cap-add and --device" in result.stderr
    assert "--privileged" not in run("run", "--help").stdout


@pytest.mark.parametrize("place", ["web:etc/app.conf", "web:"])
def test_cp_with_a_relative_path_inside_says_how_to_write_it(run, place):
    result = run("cp", place, "-")
    assert result.exit_code == 2
    assert "begins with /" in result.stderr


def test_host_of_which_no_engine_has_told_yet_is_its_name_alone(run, small_daemon):
    unreachable = v1.Engine(ref=v1.EngineRef(host="far", driver="docker"))
    small_daemon.hosts = v1.GetHostResponse(host=v1.Host(name="far", engines=[unreachable]))
    assert run("host", "--host", "far").stdout.splitlines()[0] == "far"
    small_daemon.hosts.host.hostname = "box"
    assert run("host", "--host", "far").stdout.startswith("far: box, 0 CPUs")
