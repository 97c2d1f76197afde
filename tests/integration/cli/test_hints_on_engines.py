"""Hints after failures of real engines; the named command is run, and helps."""

import re
import secrets
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import docker
import libvirt
import pytest
from docker.errors import DockerException
from typer.testing import CliRunner, Result

from guest.media import import_image
from integration.daemon.conftest import PASSWORD, Daemon
from proa import v1
from proa.cli.app import app
from requirements import skip_or_fail

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]

IMAGE = "proa-test/busybox:1"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run `proa` with a token of a daemon on this host's engines.

    The commands run in this process: a new interpreter for each would take most of the time.
    """
    try:
        docker.from_env().ping()
        libvirt.open("qemu:///system").close()
    except (DockerException, libvirt.libvirtError) as error:
        skip_or_fail(f"these tests need both engines: {error}")
    import_image()
    daemon = Daemon(tmp_path_factory.mktemp("proad"), {})
    daemon.start()
    with daemon.client() as client:
        login = v1.CreateTokenRequest(username="ada", password=PASSWORD)
        token = client.auth.CreateToken(login).token
    runner = CliRunner(env={"PROA_TARGET": daemon.address, "PROA_TOKEN": token})

    def run(*arguments: str) -> Result:
        return runner.invoke(app, arguments)

    yield run
    daemon.stop()


@pytest.fixture
def name(run: Run) -> Iterator[str]:
    """A unique name; everything with this prefix is deleted at the end."""
    name = f"proa-test-{secrets.token_hex(4)}"
    yield name
    listed = run("ls", "--all", "--name", name, "--no-trunc").stdout.splitlines()[1:]
    for id in [line.split()[0] for line in listed]:
        done = run("rm", "--force", "--snapshots", "--saved-state", "--missing-ok", id)
        assert done.exit_code == 0, done.stderr


@pytest.fixture
def vm(run: Run, name: str) -> str:
    """A running machine that gets no further than its firmware."""
    options = ["--memory", "32MiB", "--disk", "1MiB", "--network", "none", "--screen", "none"]
    made = run("vm", "create", name, *options, "--start")
    assert made.exit_code == 0, made.stderr
    return name


@pytest.fixture
def container(run: Run, name: str) -> str:
    made = run("run", "--name", name, IMAGE, "sleep", "600")
    assert made.exit_code == 0, made.stderr
    return name


def hint(failed: Result, reason: str) -> str:
    assert failed.exit_code != 0
    assert f"Reason: {reason}\n" in failed.stderr, failed.stderr
    return failed.stderr.splitlines()[-1].removeprefix("Hint: ")


def follow(run: Run, output: str, end: str) -> str:
    """Run the command that a hint names before some words, and return its standard output."""
    [typed] = re.findall(rf"proa ([^;,]*?) {end}", output)
    done = run(*shlex.split(typed))
    assert done.exit_code == 0, (output, done.stderr)
    return done.stdout


def test_hint_after_rename_of_a_running_machine_keeps_it(run: Run, vm: str):
    output = hint(run("rename", vm, f"{vm}-other"), "RESOURCE_RUNNING")
    assert output == f"proa stop {vm} stops it first"


def test_hint_after_rm_of_a_running_container_stops_it(run: Run, container: str):
    output = hint(run("rm", container), "RESOURCE_RUNNING")
    assert follow(run, output, "stops it first") == f"{container} stopped\n"
    assert run("rm", container).exit_code == 0


def test_hint_after_a_verb_in_the_wrong_state_leads_to_success(run: Run, container: str):
    output = hint(run("start", container), "RESOURCE_ALREADY_RUNNING")
    assert "state: RESOURCE_STATE_RUNNING" in follow(run, output, "shows how it is now")
    output = hint(run("resume", container), "ILLEGAL_STATE")
    follow(run, output, "shows how it is now")
    assert run("pause", container).exit_code == 0
    output = hint(run("pause", container), "ILLEGAL_STATE")
    assert follow(run, output, "lets it go on") == f"{container} running\n"
    assert run("stop", "--mode", "force", container).exit_code == 0
    output = hint(run("stop", container), "RESOURCE_NOT_RUNNING")
    assert output.startswith("there is nothing to stop; ")
    output = hint(run("pause", container), "RESOURCE_NOT_RUNNING")
    assert follow(run, output, "starts it") == f"{container} running\n"


def test_hint_about_saved_state_and_snapshots_leads_to_success(run: Run, vm: str):
    assert run("snapshot", "create", vm, "first").exit_code == 0
    output = hint(run("start", "--from-snapshot", "first", vm), "RESOURCE_ALREADY_RUNNING")
    assert follow(run, output, "takes it back while it runs") == f"{vm} running\n"
    output = hint(run("snapshot", "revert", vm, "second"), "SNAPSHOT_NOT_FOUND")
    assert "first" in follow(run, output, "shows what there is")
    assert run("stop", "--mode", "save", vm).exit_code == 0
    output = hint(run("rename", vm, f"{vm}-other"), "HAS_SAVED_STATE")
    assert follow(run, output, "goes on from it") == f"{vm} running\n"
    assert run("stop", "--mode", "force", vm).exit_code == 0
    output = hint(run("rm", vm), "HAS_SNAPSHOTS")
    assert follow(run, output, "deletes them too") == f"{vm}\n"


def test_errors_of_exec_in_a_machine_say_what_it_lacks(run: Run, vm: str):
    output = hint(run("exec", vm, "true"), "CAPABILITY_MISSING")
    assert output == f"proa wait --ready {vm} waits for it while the guest boots"
    refused = run("exec", "--tty", "--user", "root", vm, "true")
    assert "leave --tty and --user out; a shell in `CMD` can" in refused.stderr
    assert hint(refused, "CAPABILITY_MISSING") == (
        "proa exec --help tells what is for containers alone"
    )


def test_hint_about_an_ambiguous_name_lists_valid_ids(run: Run, vm: str):
    assert run("run", "--name", vm, IMAGE, "sleep", "600").exit_code == 0
    output = hint(run("get", vm), "AMBIGUOUS_ID")
    candidates = output.removeprefix("write one of these in its place: ").split(", ")
    assert len(candidates) == 2
    for candidate in candidates:
        assert f"name: {vm}\n" in run("get", candidate).stdout


def test_hint_about_a_used_name_names_its_resource(run: Run, container: str):
    output = hint(run("run", "--name", container, IMAGE), "ALREADY_EXISTS")
    assert f"name: {container}\n" in follow(run, output, "shows the one that has the name")


def test_hint_about_an_invalid_value_names_its_option(run: Run, name: str):
    output = hint(run("run", "--name", name, "--memory", "1", IMAGE), "INVALID_ARGUMENT")
    assert output == "that is --memory; proa run --help tells what it takes"


def test_short_id_of_an_image_is_accepted(run: Run):
    api: Any = docker.from_env().api
    short = api.inspect_image(IMAGE)["Id"].removeprefix("sha256:")[:12]
    assert f"  {short}  " in run("images", IMAGE).stdout
    made = run("run", short, "true")
    assert made.exit_code == 0, made.stderr
    api.remove_container(made.stdout.strip(), force=True)
    api.close()
