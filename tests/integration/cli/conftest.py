"""The command line against a `proad serve --memory` of its own, on a Unix socket."""

import json
import os
import subprocess
import sys
import time
from functools import cache

import grpc
import pytest
from typer.testing import CliRunner

import proa
from integration.daemon.conftest import Daemon
from proa import v1
from proa.cli.app import app
from proa.cli.tokens import StoredToken, TokenFile
from relaxed_policy import write_config

PASSWORD = "correct horse battery"


def proad(*arguments, state, **settings):
    return subprocess.run(
        [sys.executable, "-m", "proad", *arguments],
        env={**os.environ, "PROA_STATE_DIR": str(state)},
        check=True,
        capture_output=True,
        text=True,
        **settings,
    )


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    """The target of a running daemon with the users ann (all scopes) and bob (basic)."""
    folder = tmp_path_factory.mktemp("proad")
    state, target = folder / "state", f"unix:{folder}/s"
    for name, scopes in (("ann", ("basic", "advanced")), ("bob", ("basic",))):
        chosen = [argument for scope in scopes for argument in ("--scope", scope)]
        proad("user", "add", name, *chosen, "--password-stdin", state=state, input=f"{PASSWORD}\n")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "proad", "serve", "--memory"],
            env={
                **os.environ,
                "PROA_STATE_DIR": str(state),
                "PROA_LISTEN": target,
                "PROA_CONFIG": str(write_config(folder)),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            with grpc.insecure_channel(target) as channel:
                grpc.channel_ready_future(channel).result(timeout=60)
            yield target
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def daemons(tmp_path):
    """Starts daemons that a test may end, each with a user ada (all scopes)."""
    started: list[Daemon] = []

    def start(*arguments, **environment):
        home = tmp_path / f"daemon{len(started)}"
        home.mkdir()
        started.append(Daemon(home, environment, list(arguments)))
        started[-1].start()
        return started[-1]

    yield start
    for daemon in started:
        assert daemon.process is not None
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


class Cli:
    """Runs commands; what they print on standard output and on standard error stays apart."""

    def __init__(self):
        self._runner = CliRunner()

    def run(self, *arguments, input=None):
        return self._runner.invoke(app, [str(a) for a in arguments], input=input)

    def ok(self, *arguments, input=None):
        """Run a command that must succeed, and return its standard output."""
        result = self.run(*arguments, input=input)
        assert result.exit_code == 0, (arguments, result.stdout, result.stderr, result.exception)
        return result.stdout

    def json(self, *arguments, input=None):
        return json.loads(self.ok(*arguments, "--output", "json", input=input))

    def fails(self, code, *arguments, input=None):
        """Run a command that must fail with an exit code, and return its standard error."""
        result = self.run(*arguments, input=input)
        assert result.exit_code == code, (arguments, result.stdout, result.stderr, result.exception)
        return result.stderr


@pytest.fixture
def cli(daemon, tmp_path, monkeypatch):
    """Run commands without a login."""
    monkeypatch.setenv("PROA_TARGET", daemon)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("PROA_TOKEN", "PROA_SERVICE_KEY", "PROA_USERNAME", "PROA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Cli()


@pytest.fixture(scope="session")
def logged_in(daemon):
    """Tokens by the time in quarters of an hour: each is used for the first half of its life."""

    @cache
    def log_in(_quarter: int) -> str:
        with proa.connect(daemon) as client:
            request = v1.CreateTokenRequest(username="ann", password=PASSWORD)
            return client.auth.CreateToken(request).token

    return log_in


@pytest.fixture
def token(logged_in):
    """A token for all tests that are not about logins, which are slow on purpose."""
    return logged_in(int(time.monotonic()) // 900)


@pytest.fixture
def ann(cli, daemon, token):
    """Run commands as a user with all scopes."""
    TokenFile.of_user().keep(daemon, StoredToken(token))
    return cli


@pytest.fixture
def fresh_ann(cli):
    """Run commands as such a user with a token of its own, which the test may revoke."""
    cli.ok("login", "ann", "--password-stdin", input=f"{PASSWORD}\n")
    return cli


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"proa-test-{time.monotonic_ns()}"


@pytest.fixture
def web(ann, name):
    """The name of a container that runs."""
    ann.ok("run", "--name", name, "debian:12", "sleep", "600")
    yield name
    ann.ok("rm", "--force", "--missing-ok", name)
