"""Service keys against the daemon as a process, on SQLite and on PostgreSQL."""

import subprocess

import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import BIN, Daemon
from proa import v1

ME = v1.GetCallerRequest()


@pytest.fixture
def daemon(daemon_on_each_database: Daemon) -> Daemon:
    return daemon_on_each_database


def proad(daemon: Daemon, *arguments: str) -> str:
    done = subprocess.run(
        [BIN / "proad", *arguments],
        env=daemon.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def make_key(daemon: Daemon, *arguments: str) -> str:
    return proad(daemon, "key", "create", "ada", "--name", "ci", *arguments).strip()


def test_service_key_serves_until_it_is_revoked(daemon):
    key = make_key(daemon, "--scope", "basic")
    with proa.connect(daemon.address, service_key=key) as client:
        caller = client.auth.GetCaller(ME)
        assert (caller.username, list(caller.scopes)) == ("ada", [v1.SCOPE_BASIC])
        with pytest.raises(proa.PermissionDenied):
            client.containers.PruneContainers(v1.PruneContainersRequest())
        assert "never" not in proad(daemon, "key", "list").splitlines()[1].split()[-1]

        proad(daemon, "key", "revoke", "ada", "ci")

        def refused() -> bool:
            try:
                client.auth.GetCaller(ME)
            except proa.Unauthenticated as error:
                return error.reason == "BAD_CREDENTIALS"
            return False

        wait_until(refused, "the key and its tokens are refused")
    assert key not in (daemon.home / "log").read_text()


def test_service_key_of_a_disabled_user_is_refused_until_it_is_enabled(daemon):
    key = make_key(daemon, "--scope", "basic")
    request = v1.CreateTokenRequest(service_key=key)
    with proa.connect(daemon.address) as client:
        client.auth.CreateToken(request)
        proad(daemon, "user", "disable", "ada")
        with pytest.raises(proa.Unauthenticated) as caught:
            client.auth.CreateToken(request)
        assert caught.value.reason == "BAD_CREDENTIALS"
        proad(daemon, "user", "enable", "ada")
        client.auth.CreateToken(request)


def test_service_key_outlives_the_daemons_keys(daemon):
    key = make_key(daemon, "--scope", "basic")
    for _ in range(2):
        proad(daemon, "init", "--rotate-key")
    daemon.stop()
    daemon.start()
    with proa.connect(daemon.address, service_key=key) as client:
        assert client.auth.GetCaller(ME).username == "ada"


def test_token_of_a_service_key_is_no_service_key_and_no_refresh_token(daemon):
    key = make_key(daemon, "--scope", "basic")
    with proa.connect(daemon.address) as client:
        token = client.auth.CreateToken(v1.CreateTokenRequest(service_key=key)).token
        for request in (
            v1.CreateTokenRequest(service_key=token),
            v1.CreateTokenRequest(service_key=f"proa_sk_{'A' * 64}"),
        ):
            with pytest.raises((proa.Unauthenticated, proa.InvalidArgument)):
                client.auth.CreateToken(request)
        for secret in (key, token[:255]):
            with pytest.raises(proa.Unauthenticated):
                client.auth.RefreshToken(v1.RefreshTokenRequest(refresh_token=secret))
        for secret in (key, "proa_sk_"):
            with pytest.raises(proa.Unauthenticated):
                client.auth.GetCaller(ME, metadata=(("authorization", f"Bearer {secret}"),))


@pytest.mark.parametrize("fields", [{"username": "ada"}, {"password": "x"}])
def test_create_token_with_a_key_and_a_login_is_refused(daemon, fields):
    request = v1.CreateTokenRequest(service_key="proa_sk_x", **fields)
    with proa.connect(daemon.address) as client, pytest.raises(proa.InvalidArgument) as caught:
        client.auth.CreateToken(request)
    assert [violation.field for violation in caught.value.violations] == ["service_key"]


@pytest.mark.parametrize("as_file", [False, True])
def test_command_line_with_a_service_key_needs_no_login(start_daemon, tmp_path, as_file):
    daemon = start_daemon("--memory")
    key = make_key(daemon, "--scope", "basic")
    if as_file:
        (tmp_path / "key").write_text(f"{key}\n")
        variables = {"PROA_SERVICE_KEY_FILE": str(tmp_path / "key")}
    else:
        variables = {"PROA_SERVICE_KEY": key}
    environment = {
        **daemon.environment,
        "PROA_TARGET": daemon.address,
        "XDG_STATE_HOME": str(tmp_path / "home"),
    }

    def whoami(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "proa", "whoami"],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    (variable,) = variables
    assert whoami(**variables).stdout.startswith(f"ada by {variable} (basic)")
    failed = whoami(PROA_SERVICE_KEY=f"proa_sk_{'A' * 64}")
    assert failed.returncode == 4
    assert "that is the key of PROA_SERVICE_KEY or PROA_SERVICE_KEY_FILE" in failed.stderr
