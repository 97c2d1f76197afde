import json
import os
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def container(ann, name):
    ann.ok("run", "--name", name, "--label", f"test={name}", "debian:12", "sleep", "600")
    yield name
    ann.ok("rm", "--force", "--missing-ok", name)


@pytest.fixture
def vm(ann, name):
    ann.ok("vm", "create", f"{name}-vm", "--memory", "1GiB", "--label", f"test={name}", "--start")
    yield f"{name}-vm"
    ann.ok("rm", "--force", "--snapshots", "--saved-state", "--missing-ok", f"{name}-vm")


def states(cli, name, *options):
    listed = cli.json("ls", "--label", f"test={name}", *options)
    return {item["name"]: item["state"].removeprefix("RESOURCE_STATE_") for item in listed}


def test_ls_prints_running_resources_of_both_kinds(ann, container, vm, name):
    assert states(ann, name) == {container: "RUNNING", vm: "RUNNING"}
    ann.ok("stop", container)
    assert states(ann, name) == {vm: "RUNNING"}
    assert states(ann, name, "--all") == {container: "STOPPED", vm: "RUNNING"}
    assert states(ann, name, "--state", "stopped") == {container: "STOPPED"}
    assert states(ann, name, "-a", "--kind", "vm") == {vm: "RUNNING"}
    assert states(ann, name, "-a", "--kind", "container") == {container: "STOPPED"}
    assert list(states(ann, name, "-a", "--sort", "name desc")) == [vm, container]


def test_ls_prints_a_table(ann, container, vm, name):
    heading, first, second = ann.ok("ls", "--label", f"test={name}").splitlines()
    assert heading.split() == ["ID", "KIND", "NAME", "STATE", "CREATED", "WHAT"]
    assert first.split()[1:4] == ["container", container, "running"]
    assert first.endswith("debian:12")
    assert second.split()[1:4] == ["domain", vm, "running"]
    assert second.endswith("1 vCPU, 1 GiB")
    for line in (first, second):
        assert ann.json("get", line.split()[0])["name"] == line.split()[2]


def test_ls_as_json_without_resources_prints_an_empty_array(ann):
    assert ann.json("ls", "--label", "test=nobody-has-this") == []


@pytest.mark.parametrize("place", ["before", "after"])
def test_output_option_works_before_and_after_the_command(ann, container, place):
    arguments = ("get", container)
    form = ("-o", "json")
    out = ann.ok(*form, *arguments) if place == "before" else ann.ok(*arguments, *form)
    assert json.loads(out)["kind"] == "RESOURCE_KIND_CONTAINER"


def test_get_prints_fields(ann, container):
    out = ann.ok("get", container)
    assert f"name: {container}" in out
    assert "  image: debian:12" in out
    assert "    - sleep" in out


def test_get_prints_what_a_resource_says_of_itself(ann, container, vm):
    info = ann.json("get", vm)["guest_info"]
    assert (info["hostname"], info["agent_answered"]) == (vm, True)
    assert f"\n  hostname: {vm}\n  operating_system:\n    id: imitation\n" in ann.ok("get", vm)
    box = ann.json("get", container)
    assert box["guest_info"]["hostname"] == box["container"]["hostname"]
    ann.ok("stop", container)
    assert "guest_info" not in ann.json("get", container)


def test_get_of_an_unknown_resource_exits_with_not_found(ann):
    output = ann.fails(3, "get", "proa-test-nothing")
    assert output.splitlines()[1:] == [
        "Reason: RESOURCE_NOT_FOUND",
        "Hint: proa ls --all shows what there is",
    ]


def test_error_as_json_has_all_its_fields(ann):
    result = ann.run("--output", "json", "get", "proa-test-nothing")
    assert result.exit_code == 3
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["reason"]) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert error["metadata"]["resource"] == "proa-test-nothing"


def test_verbs_take_a_resource_through_its_life(ann, container, vm):
    for one in (container, vm):
        assert ann.ok("pause", one) == f"{one} paused\n"
        assert ann.ok("resume", one) == f"{one} running\n"
        assert ann.ok("restart", one) == f"{one} running\n"
        assert ann.ok("stop", "--mode", "force", one) == f"{one} stopped\n"
        assert "RESOURCE_NOT_RUNNING" in ann.fails(5, "stop", one)
        assert ann.ok("start", one) == f"{one} running\n"
        assert "RESOURCE_ALREADY_RUNNING" in ann.fails(5, "start", one)
        assert "RESOURCE_RUNNING" in ann.fails(5, "rm", one)
        assert ann.ok("rm", "--force", one) == f"{one}\n"
        assert "RESOURCE_NOT_FOUND" in ann.fails(3, "rm", one)
        assert ann.ok("rm", "--missing-ok", one) == ""


def test_verb_on_several_continues_after_a_failure(ann, container, vm):
    result = ann.run("pause", "proa-test-nothing", container, vm)
    assert result.exit_code == 3
    assert result.stdout == f"{container} paused\n{vm} paused\n"
    assert "RESOURCE_NOT_FOUND" in result.stderr


def test_verb_with_different_failures_exits_with_other(ann, container):
    output = ann.fails(1, "resume", "proa-test-nothing", container)
    assert "RESOURCE_NOT_FOUND" in output
    assert "ILLEGAL_STATE" in output


def test_verb_on_several_as_json_prints_an_array(ann, container, vm):
    result = ann.run("-o", "json", "pause", container, "proa-test-nothing", vm)
    assert result.exit_code == 3
    assert [one["name"] for one in json.loads(result.stdout)] == [container, vm]
    assert json.loads(result.stderr)["error"]["reason"] == "RESOURCE_NOT_FOUND"


def test_stop_with_save_lets_the_start_restore(ann, vm):
    assert ann.ok("stop", "--mode", "save", vm) == f"{vm} saved\n"
    assert "HAS_SAVED_STATE" in ann.fails(5, "rm", vm)
    assert ann.ok("start", "--discard-saved", vm) == f"{vm} running\n"


def test_stop_with_save_of_a_container_exits_with_wrong_state(ann, container):
    assert "CAPABILITY_MISSING" in ann.fails(5, "stop", "--mode", "save", container)


def test_create_with_a_used_name_exits_with_conflict(ann, container):
    assert "ALREADY_EXISTS" in ann.fails(7, "run", "--name", container, "debian:12")


def test_update_and_rename_change_the_resource(ann, container, vm):
    changed = ann.json("update", container, "--memory", "64MiB")["resource"]
    assert changed["container"]["spec"]["resources"]["memory_bytes"] == str(64 * 2**20)
    changed = ann.json("update", vm, "--title", "A desk")["resource"]
    assert changed["domain"]["spec"]["title"] == "A desk"
    assert ann.json("update", vm, "--label", "a=b")["resource"]["labels"] == {"a": "b"}
    assert "labels" not in ann.json("update", vm, "--clear-labels")["resource"]
    assert "choose" in ann.fails(2, "update", vm, "--vcpus", "2", "--cpus", "2")
    assert "nothing to change" in ann.fails(2, "update", vm)
    ann.ok("rename", container, f"{container}-2")
    ann.ok("rename", f"{container}-2", container)


def test_prune_deletes_stopped_containers(ann, container, name):
    ann.ok("stop", container)
    ann.fails(1, "prune", "--label", f"test={name}", input="n\n")
    dry = ann.ok("prune", "--dry-run", "--label", f"test={name}")
    id = ann.json("get", container)["id"]
    would, headings, row = (line.split() for line in dry.splitlines())
    assert would[:2] == ["would", "delete"]
    assert headings == ["NAME", "ID", "SIZE"]
    assert row[:2] == [container, id[:12]]
    plan = ann.json("prune", "--dry-run", "--label", f"test={name}")["plan"]
    assert [each["id"] for each in plan["removals"]] == [id]
    pruned = ann.json("prune", "--force", "--label", f"test={name}")
    assert len(pruned["container_ids"]) == 1
    ann.fails(3, "get", container)


def test_host_prints_engines_and_capabilities(ann):
    [host] = ann.json("host")
    assert host == ann.json("host", "--host", host["name"])[0]
    assert host["engines"][0]["ref"]["driver"] == "memory"
    assert "memory" in ann.ok("host")


def test_wrong_usage_exits_with_usage(ann):
    for wrong in (
        ("ls", "--kind", "ship"),
        ("ls", "--state", "asleep"),
        ("ls", "--label", "=x"),
        ("stop", "--mode", "gently", "x"),
        ("stop", "--grace", "soon", "x"),
        ("stop",),
        ("nonsense",),
        ("--output", "xml", "ls"),
        ("--timeout", "never", "ls"),
        ("--tls-cert", "only.pem", "ls"),
        ("--tls-ca", "/none.pem", "ls"),
    ):
        assert ann.fails(2, *wrong)


def test_invalid_argument_exits_with_usage(ann):
    output = ann.fails(2, "ls", "--sort", "beauty")
    assert "Reason: INVALID_ARGUMENT" in output
    assert "Hint: that is --sort; proa ls --help tells what it takes" in output
    assert "order_by" not in output


def test_command_past_its_deadline_exits_with_unavailable(ann):
    ann.fails(6, "--timeout", "0.000001s", "ls")


def test_help_lists_the_exit_codes(cli):
    out = cli.ok("--help")
    for code in (*range(9), 130):
        assert f"  {code}  " in out


def test_version_option_prints_the_version(cli):
    assert cli.ok("--version").startswith("proa 0.")


def test_closed_output_pipe_ends_the_command_silently(ann, container):
    """`proa ls | head -0` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-c", "from proa.cli import main; main()", "ls"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert ended.returncode in {1, -signal.SIGPIPE}
    assert "Traceback" not in ended.stderr
