"""Secrets of containers on the command line: never an argument, never shown."""

import pytest

CANARY = "canary-7349"
REDACTED = {"redacted": True}


@pytest.fixture(autouse=True)
def remove(ann, name):
    yield
    for each in (name, f"{name}-copy"):
        ann.ok("rm", "--force", "--missing-ok", each)


def test_run_with_secrets_from_file_stdin_and_environment_hides_them(
    ann, name, tmp_path, monkeypatch
):
    file = tmp_path / "secret"
    file.write_text(f"{CANARY}\n")
    monkeypatch.setenv("THIRD", f"{CANARY}-3")
    secrets = ("--env-secret", f"FIRST=@{file}", "--env-secret", "SECOND=@-")

    ann.ok(
        *("run", "--name", name, *secrets, "--env-secret", "THIRD", "debian:12"),
        input=f"{CANARY}-2",
    )

    shown = ann.json("get", name)["container"]["spec"]["env_secret"]
    assert shown == {"FIRST": REDACTED, "SECOND": REDACTED, "THIRD": REDACTED}
    for command in ("get", "inspect"):
        assert CANARY not in ann.ok(command, name)


def test_run_with_a_secret_as_an_argument_is_refused_without_the_value(ann, name):
    told = ann.fails(2, "run", "--name", name, "--env-secret", f"FIRST={CANARY}", "debian:12")

    assert "FIRST=@FILE" in told.replace("\n", " ")
    assert CANARY not in told


def test_run_with_a_secret_that_is_nowhere_is_refused(ann, name, tmp_path):
    assert ann.fails(2, "run", "--env-secret", "NO_SUCH_VARIABLE", "debian:12")
    assert ann.fails(2, "run", "--env-secret", f"A=@{tmp_path}/none", "debian:12")


def test_run_with_secrets_of_another_container_takes_them_over(ann, name, tmp_path):
    file = tmp_path / "secret"
    file.write_text(CANARY)
    ann.ok("run", "--name", name, "--env-secret", f"FIRST=@{file}", "debian:12")

    copy = ("run", "--name", f"{name}-copy", "--env-secret", "FIRST", "--secrets-from", name)
    ann.ok(*copy, "debian:12")
    ann.ok("recreate", name, "--env-secret", "FIRST", "--env", "A=1")

    for each in (name, f"{name}-copy"):
        spec = ann.json("get", each)["container"]["spec"]
        assert spec["env_secret"] == {"FIRST": REDACTED}
    assert ann.fails(2, "run", "--env-secret", "OTHER", "--secrets-from", name, "debian:12")
