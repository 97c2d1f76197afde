"""Commands inside resources through the clients and the command line, on a daemon of their own."""

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import proa
from eventually import wait_until
from integration.cli.conftest import PASSWORD
from proa import v1

HELD = 22.0  # seconds
MINE: dict[str, Any] = {"username": "ada", "password": "correct horse"}


@pytest.fixture
def begin(daemons):
    """Starts a daemon whose tokens live for so long, with a container "web"."""

    def begin(lifetime):
        daemon = daemons("--memory", PROA_TOKEN_LIFETIME=lifetime)
        spec = v1.ContainerSpec(image="debian:12", name="web", command=["sleep", "600"])
        with daemon.client() as client:
            for _progress in client.images.PullImage(v1.PullImageRequest(image="debian:12")):
                pass
            client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        return daemon

    return begin


def test_exec_writes_what_the_command_does_and_exits_with_its_code(ann, web):
    result = ann.run("exec", web, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)


@pytest.mark.parametrize("separator", [[], ["--"]])
def test_exec_leaves_options_after_the_id_to_the_command(ann, web, separator):
    arguments = ["-n", "--output", "json", "--help"]
    assert ann.ok("exec", web, *separator, "echo", *arguments) == f"{' '.join(arguments)}\n"


def test_exec_with_json_is_for_a_detached_command_alone(ann, web):
    started = json.loads(ann.ok("exec", "--detach", "-o", "json", web, "sleep", "1"))
    assert started["pid"] > 0
    assert started["can_signal"] is True
    assert "--detach alone" in ann.fails(125, "--output", "json", "exec", web, "true")
    assert "exclude" in ann.fails(125, "exec", "-d", "-i", web, "true")


@pytest.mark.parametrize(
    ("keys", "key"), [("ctrl-P", "ctrl-P"), ("a,,b", ""), ("ab", "ab"), ("ctrl-", "ctrl-")]
)
def test_exec_with_detach_keys_that_are_none_is_refused(ann, web, keys, key):
    assert f"{key!r} is no key" in ann.fails(125, "exec", "--detach-keys", keys, web, "true")


def test_exec_in_what_does_not_run_names_the_way(ann, web):
    ann.ok("stop", web)
    told = ann.fails(125, "exec", web, "true")
    assert "Reason: RESOURCE_NOT_RUNNING" in told
    assert f"Hint: proa start {web}" in told


def test_exec_of_a_user_without_the_scope_fails_with_its_own_code(ann, web, daemon, monkeypatch):
    with proa.connect(daemon) as client:
        request = v1.CreateTokenRequest(username="bob", password=PASSWORD)
        token = client.auth.CreateToken(request).token
    with monkeypatch.context() as bob:
        bob.setenv("PROA_TOKEN", token)
        assert "Reason: SCOPE_MISSING" in ann.fails(125, "exec", web, "true")


def test_exec_without_a_daemon_fails_with_its_own_code(ann):
    ann.fails(125, "--target", "unix:/nowhere", "exec", "web", "true")


def test_exec_is_told_of_in_the_help_and_in_the_readme(cli):
    told = " ".join(cli.ok("--help").split())
    assert "exec Run a command inside a container or a virtual machine" in told
    assert "125 any error of exec" in told
    own = " ".join(cli.ok("exec", "--help").split())
    assert "proa itself exits with 125" in own


def hold(address):
    """Hold a shell for a while, by the synchronous client."""
    begun = time.monotonic()
    with (
        proa.connect(address, **MINE) as client,
        client.exec("web", ["sh"], stdin=True) as process,
    ):
        while time.monotonic() < begun + HELD:
            process.write(b"sleep 0.1; echo a\n")
            assert next(process).data == b"a\n"
        process.write(b"exit 4\n")
        return process.wait().code


async def hold_with_asyncio(address):
    """Hold a shell for a while, by the asyncio client."""
    begun = time.monotonic()
    async with (
        proa.aio.connect(address, **MINE) as client,
        client.exec("web", ["sh"], stdin=True) as process,
    ):
        while time.monotonic() < begun + HELD:
            await process.write(b"sleep 0.1; echo a\n")
            assert (await anext(process)).data == b"a\n"
        await process.write(b"exit 4\n")
        return (await process.wait()).code


def hold_with_commands(address):
    """Hold a shell for a while, by `proa exec` with a stored login."""
    begun = time.monotonic()
    program = [sys.executable, "-c", "from proa.cli import main; main()", "--target", address]
    with subprocess.Popen(
        [*program, "exec", "-i", "web", "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while time.monotonic() < begun + HELD:
            process.stdin.write(b"sleep 0.1; echo a\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"a\n"
        process.stdin.write(b"exit 4\n")
        process.stdin.close()
        return process.wait(timeout=60)


def test_shell_is_held_for_longer_than_two_tokens_live(begin, cli):
    daemon = begin("10s")
    login = ("--target", daemon.address, "login", "ada", "--password-stdin")
    cli.ok(*login, input=f"{MINE['password']}\n")
    with ThreadPoolExecutor() as pool:
        held = [
            pool.submit(hold, daemon.address),
            pool.submit(lambda: asyncio.run(hold_with_asyncio(daemon.address))),
            pool.submit(hold_with_commands, daemon.address),
        ]
        assert [each.result() for each in held] == [4, 4, 4]


def test_shell_with_a_fixed_token_ends_with_the_token(begin):
    daemon = begin("2s")
    with daemon.client() as client:
        token = client.auth.CreateToken(v1.CreateTokenRequest(**MINE)).token
    with (
        proa.connect(daemon.address, token=token) as client,
        client.exec("web", ["sh"], stdin=True) as process,
        pytest.raises(proa.Unauthenticated) as caught,
    ):
        process.wait()
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_process_that_is_detached_from_ends_its_call_alone(begin):
    daemon = begin("30m")
    with daemon.client() as client, client.exec("web", ["sh"], stdin=True) as process:
        process.write(b"echo a\n")
        assert next(process).data == b"a\n"
        process.detach()
        assert list(process) == []
        assert process.exit is None

    def codes():
        calls = [each for each in daemon.log() if str(each.get("method")).endswith("/Exec")]
        return [each["code"] for each in calls]

    wait_until(codes)
    assert codes() == ["OK"]


def test_clients_run_a_command_alike(begin):
    daemon = begin("30m")

    async def run():
        async with proa.aio.connect(daemon.address, **MINE) as client:
            return await client.run_command("web", ["cat"], input=b"in")

    with daemon.client() as client:
        done = client.run_command("web", ["cat"], input=b"in")
    assert done == asyncio.run(run())
    assert (done.stdout, done.code, done.is_truncated) == (b"in", 0, False)
