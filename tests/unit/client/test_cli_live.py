"""How events, activities and samples are shown."""

import json

import grpc
import pytest
from typer.testing import CliRunner

import proa
from proa import v1
from proa.cli import describe, watch
from proa.cli.app import app
from proa.errors import Details
from unit.client.watch_server import DOCKER

WEB = v1.Resource(
    id="c" * 64, name="web", kind=v1.RESOURCE_KIND_CONTAINER, state=v1.RESOURCE_STATE_RUNNING
)
LOST = proa.Unavailable(grpc.StatusCode.UNAVAILABLE, Details("it is stopping", "SHUTTING_DOWN"))


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "running"),
        ({"activity": v1.Activity(verb=v1.VERB_STOP)}, "running (stop)"),
        (
            {"activity": v1.Activity(verb=v1.VERB_STOP, step="waiting for the guest agent")},
            "running (stop: waiting for the guest agent)",
        ),
        (
            {"activity": v1.Activity(verb=v1.VERB_CREATE_SNAPSHOT, step="saving", percent=0)},
            "running (create snapshot: saving, 0 %)",
        ),
        (
            {
                "state": v1.RESOURCE_STATE_STOPPED,
                "state_detail": v1.StateDetail(exit_code=0),
                "activity": v1.Activity(verb=v1.VERB_DELETE),
            },
            "stopped (0) (delete)",
        ),
    ],
)
def test_state_shows_exit_code_and_activity(fields, shown):
    assert describe.state(v1.Resource(**{"state": v1.RESOURCE_STATE_RUNNING, **fields})) == shown


@pytest.mark.parametrize(
    ("image", "whole", "shown"),
    [
        ("debian:12", False, "debian:12"),
        (f"sha256:{'a' * 64}", False, "a" * 12),
        (f"sha256:{'a' * 64}", True, f"sha256:{'a' * 64}"),
    ],
)
def test_what_of_container_has_first_digits_of_nameless_image_unless_whole(image, whole, shown):
    container = v1.Container(image=image, image_id=f"sha256:{'a' * 64}")
    assert describe.what(v1.Resource(container=container), whole=whole) == shown


def change(type, **fields):
    return proa.Change(type, WEB, **fields)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (change(v1.CHANGE_TYPE_EXISTING), "existing  container  web  running"),
        (
            change(v1.CHANGE_TYPE_MODIFIED, previous_state=v1.RESOURCE_STATE_PAUSED),
            "modified  container  web  paused → running",
        ),
        (
            change(
                v1.CHANGE_TYPE_MODIFIED,
                previous_state=v1.RESOURCE_STATE_RUNNING,
                cause=v1.CHANGE_CAUSE_EXTERNAL,
            ),
            "modified  container  web  running  from outside",
        ),
        (
            change(v1.CHANGE_TYPE_REMOVED, cause=v1.CHANGE_CAUSE_API, actor="ann"),
            "removed   container  web  running  by ann",
        ),
        (
            change(v1.CHANGE_TYPE_ADDED, cause=v1.CHANGE_CAUSE_API),
            "added     container  web  running  by a call",
        ),
        (proa.Synced(), "synced: that is all there is"),
        (
            proa.Gap(v1.GAP_KIND_ENGINE_LOST, DOCKER, "no answer"),
            "gap: engine lost, local/docker, no answer",
        ),
        (proa.Gap(v1.GAP_KIND_WATCH_RESTARTED), "gap: watch restarted"),
        (proa.Disconnected(LOST), "disconnected, trying again: it is stopping"),
        (proa.Reconnected(), "reconnected"),
    ],
)
def test_watch_line_of_each_event(event, line):
    assert watch.event_line(event) == line


def test_watch_json_of_each_event():
    gap = proa.Gap(v1.GAP_KIND_ENGINE_LOST, DOCKER, "no answer")
    assert watch.event_fields(gap) == {
        "gap": {
            "kind": "GAP_KIND_ENGINE_LOST",
            "engine": {"host": "local", "driver": "docker"},
            "message": "no answer",
        }
    }
    assert watch.event_fields(proa.Synced()) == {"bookmark": {"synced": True}}
    assert watch.event_fields(proa.Reconnected()) == {"reconnected": {}}
    assert watch.event_fields(proa.Disconnected(LOST)) == {
        "disconnected": {
            "code": "UNAVAILABLE",
            "reason": "SHUTTING_DOWN",
            "message": "it is stopping",
        }
    }
    shown = watch.event_fields(change(v1.CHANGE_TYPE_ADDED, actor="ann"))["change"]
    assert shown["resource"]["name"] == "web"
    assert shown["actor"] == "ann"


@pytest.fixture
def run(serve, small_daemon, monkeypatch, tmp_path):
    small_daemon.valid = {"ours"}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PROA_TOKEN", "ours")
    with serve() as target:
        yield lambda *arguments: CliRunner().invoke(app, ["--target", target, *arguments])


def sample(name, percent=None):
    return v1.ResourceStats(name=name, cpu_percent=percent, memory_usage_bytes=2**20)


def test_top_once_waits_for_the_cpu_usage_of_all(run, small_daemon):
    small_daemon.samples = [
        [],
        [sample("a")],
        [sample("a", 1), sample("b")],
        [sample("a", 1), sample("b", 150.25), sample("c", 1)],
        [sample("too late", 1)],
    ]
    result = run("top", "--once")
    assert [row.split()[0] for row in result.stdout.splitlines()[1:]] == ["b", "a", "c"]
    assert "150.2" in result.stdout
    lines = run("top", "--once", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["a", "b", "c"]


def test_top_once_without_resources_ends(run, small_daemon):
    small_daemon.samples = [[] for _ in range(100)]
    result = run("top", "--once")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [result.stdout.strip()]


def test_top_prints_the_reason_of_a_missing_sample_once(run, small_daemon):
    lack = v1.MissingSample(name="b", message="'b' is STOPPED\x1b[2J")
    small_daemon.samples = [[sample("a", 1), lack]] * 3
    for options in ((), ("-o", "json")):
        result = run("top", "a", "b", *options)
        assert result.exit_code == 0
        assert result.stderr.splitlines() == ["'b' is STOPPED\\x1b[2J"]
        assert "STOPPED" not in result.stdout


def test_top_once_of_a_stopped_resource_prints_the_reason_at_once(run, small_daemon):
    small_daemon.samples = [[], [v1.MissingSample(message="it is STOPPED")], [sample("late", 1)]]
    result = run("top", "--once", "a")
    assert result.stderr.splitlines() == ["it is STOPPED"]
    assert "late" not in result.stdout


def test_top_prints_each_sample(run, small_daemon):
    small_daemon.samples = [[sample("a")], [sample("a", 7)]]
    result = run("top")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["NAME", "a"] * 2
    lines = run("top", "-o", "json").stdout.splitlines()
    assert len(lines) == 2


def test_watch_with_an_expired_token_exits_with_the_error(run, small_daemon, status):
    small_daemon.valid.clear()
    result = run("watch")
    assert result.exit_code == 4
    assert "Reason: TOKEN_EXPIRED" in result.stderr
