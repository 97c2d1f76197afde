"""Commands that only check, and commands that are repeated with a request id."""

import json
from uuid import uuid4

import pytest
from typer.main import get_command

from proa.cli.app import app
from proa.cli.exits import Exit

IMAGE = "proa-test/busybox:1"
READING = {
    *("ls", "get", "host", "watch", "wait", "top", "whoami", "version", "audit", "images"),
    *("login", "logout", "vm xml", "snapshot ls", "volumes ls", "logs", "exec", "network"),
    *("attach", "console", "port-forward", "cp", "files ls", "files stat"),
    *("requests ls", "requests show", "requests cancel", "registry login"),
}
"""Commands that change nothing on a host, or whose calls cannot be checked."""


def commands(group, above=()):
    """Yield all commands with their names."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


ALL = dict(commands(get_command(app)))
CHANGING = sorted(ALL.keys() - READING)


@pytest.fixture
def there(ann, name):
    """A container that runs and one that does not, and a domain with a snapshot and a volume."""
    ann.ok("run", "--name", name, IMAGE, "sleep", "600")
    ann.ok("run", "--name", f"{name}-old", "--no-start", IMAGE)
    ann.ok("vm", "create", f"{name}-vm", "-m", "64MiB", "--disk", "1MiB", "--start")
    ann.ok("snapshot", "create", f"{name}-vm", "first")
    ann.ok("volumes", "create", f"{name}-volume", "--size", "1MiB")
    yield name
    for each in (name, f"{name}-old", f"{name}-vm"):
        ann.run("rm", "--force", "--snapshots", each)
    ann.run("volumes", "rm", f"{name}-volume")


def dry(name):
    """Return a dry run of each command, with what it says."""
    return {
        "start": (f"{name}-old",),
        "stop": (name,),
        "restart": (name,),
        "pause": (name,),
        "resume": (f"{name}-paused",),
        "rm": (f"{name}-old",),
        "prune": (),
        "run": ("--name", f"{name}-new", IMAGE),
        "update": (name, "--cpus", "0.5"),
        "rename": (name, f"{name}-other"),
        "recreate": (name, "--env", "A=1"),
        "pull": (IMAGE,),
        "files mkdir": (name, "/tmp/dry"),
        "files rm": (name, "/etc/hosts"),
        "rmi": (IMAGE,),
        "registry logout": ("reg.example",),
        "vm create": (f"{name}-new", "-m", "64MiB"),
        "snapshot create": (f"{name}-vm", "second"),
        "snapshot revert": (f"{name}-vm", "first"),
        "snapshot rm": (f"{name}-vm", "first"),
        "volumes create": (f"{name}-new", "--size", "1MiB"),
        "volumes rm": (f"{name}-volume",),
    }


def test_every_command_that_changes_something_has_a_dry_run():
    assert set(dry("x")) == set(CHANGING)
    for name in CHANGING:
        options = {option for each in ALL[name].params for option in each.opts}
        assert {"--dry-run", "--request-id"} <= options, name


def state(ann):
    """Return all that there is."""
    return [
        [(each["name"], each["state"]) for each in ann.json("ls")],
        ann.json("images"),
        ann.json("volumes"),
    ]


def test_dry_runs_say_what_would_be_done_and_do_nothing(ann, there):
    ann.ok("run", "--name", f"{there}-paused", IMAGE, "sleep", "600")
    ann.ok("pause", f"{there}-paused")
    before = state(ann)
    for command, arguments in dry(there).items():
        options = ("--dry-run", *arguments)
        assert ann.ok(*command.split(), *options).startswith("would "), command
        told = ann.run("--output", "json", *command.split(), *options)
        assert told.exit_code == 0, (command, told.stderr)
        found = json.loads(told.stdout)
        first = found[0] if isinstance(found, list) else found
        assert first["dry_run"].startswith("would ")
        assert first["call"]
    assert state(ann) == before
    ann.ok("rm", "--force", f"{there}-paused")


def test_dry_run_fails_as_the_command_does(ann, there):
    for arguments in (
        ("start", there),
        ("rm", there),
        ("vm", "create", there, "-m", "64MiB", "--disk", "volume=none"),
        ("snapshot", "rm", f"{there}-vm", "none"),
        ("volumes", "rm", "none"),
        ("recreate", there, "--image", "proa-test/none:1"),
    ):
        checked, done = ann.run(*arguments, "--dry-run"), ann.run(*arguments)
        assert done.exit_code != 0, arguments
        assert checked.exit_code == done.exit_code
        # The hints are for each command itself.
        assert checked.stderr.splitlines()[:2] == done.stderr.splitlines()[:2]


def test_dry_run_of_an_update_shows_when_each_field_takes_effect(ann, there):
    shown = ann.ok("update", f"{there}-vm", "--vcpus", "2", "--title", "T", "--dry-run")

    assert [line.split(None, 1) for line in shown.splitlines()[1:]] == [
        ["FIELD", "TAKES EFFECT"],
        ["title", "at once"],
        ["vcpus", "at the next start"],
    ]
    told = ann.json("update", f"{there}-vm", "--vcpus", "2", "--dry-run")
    assert told["call"] == "UpdateResource"
    assert told["plan"]["changes"] == [{"field": "vcpus", "effect": "CHANGE_EFFECT_RESTART"}]


def test_dry_run_of_a_run_whose_image_is_missing_says_that_it_would_be_pulled(ann, name):
    assert ann.ok("run", "--dry-run", "--name", name, "debian:never") == "would pull debian:never\n"
    assert name not in ann.ok("ls")


def test_request_id_lets_a_repeated_command_be_done_once(ann, name):
    id = str(uuid4())
    command = ("run", "--request-id", id, "--name", name, IMAGE)

    first = ann.ok(*command)
    again = ann.ok(*command)

    assert again == first
    assert json.loads(ann.ok("requests", "show", id, "-o", "json"))["state"] == (
        "REQUEST_STATE_SUCCEEDED"
    )
    assert [each["id"] for each in ann.json("ls") if each["name"] == name] == [first.strip()]
    other = ann.fails(Exit.USAGE, "rm", "--force", name, "--request-id", id)
    assert "--request-id" in other
    ann.ok("rm", "--force", name, "--request-id", str(uuid4()))


def test_request_id_of_a_run_is_not_that_of_its_pull(ann, name):
    id, image = str(uuid4()), f"debian:{name}"

    ann.ok("run", "--request-id", id, "--name", name, image)

    shown = ann.json("requests", "show", id)
    assert shown["method_name"].endswith("CreateContainer")
    ann.ok("rm", "--force", name)
    ann.ok("rmi", image)


@pytest.mark.parametrize(
    "wrong",
    [
        ("stop", "--request-id", "no-uuid", "web"),
        ("stop", "--request-id", "6f1c2a5e-0d1f-4c0a-9f63-2f2b1c7e8a11", "web", "db"),
        ("stop", "--request-id", "6f1c2a5e-0d1f-4c0a-9f63-2f2b1c7e8a11", "--dry-run", "web"),
    ],
)
def test_request_id_that_cannot_be_is_wrong_usage(ann, wrong):
    assert "request-id" in ann.fails(Exit.USAGE, *wrong)
