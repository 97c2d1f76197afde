"""Tokens of an issuer against the daemon as a process, on SQLite and on PostgreSQL."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import BIN, PASSWORD, Daemon
from issuer import AUDIENCE, ISSUER, Issuer, ec_key, rsa_key
from proa import v1

ME = v1.GetCallerRequest()


def write_config(folder: Path, keys: str) -> str:
    path = folder / "oidc.toml"
    path.write_text(f"""\
[oidc]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
{keys}
[[oidc.rule]]
claim = "groups"
value = "operators"
scopes = ["basic"]
access = "all"
""")
    return str(path)


@pytest.fixture
def issuer():
    with Issuer(ec_key()).serving() as issuer:
        yield issuer


@pytest.fixture(params=["sqlite", "postgresql"])
def daemon(request: Any, start_daemon: Any, tmp_path: Path, issuer: Issuer) -> Daemon:
    environment = {"PROA_CONFIG": write_config(tmp_path, f'jwks_url = "{issuer.url}"')}
    if request.param == "postgresql":
        environment["PROA_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    started: Daemon = start_daemon("--memory", **environment)
    return started


def caller(client: proa.Client, token: str) -> v1.GetCallerResponse:
    return client.auth.GetCaller(ME, metadata=(("authorization", f"Bearer {token}"),))


def reason(client: proa.Client, token: str) -> str:
    with pytest.raises(proa.Error) as caught:
        caller(client, token)
    return caught.value.reason


def test_token_of_the_issuer_serves_until_its_user_is_disabled(daemon, issuer):
    token = issuer.token()
    with proa.connect(daemon.address) as client:
        known = caller(client, token)
        assert known.username.startswith("oidc:5f1c-ann.")
        assert list(known.scopes) == [v1.SCOPE_BASIC]
        assert client.resources.ListResources(
            v1.ListResourcesRequest(), metadata=(("authorization", f"Bearer {token}"),)
        )
        subprocess.run(
            [BIN / "proad", "user", "disable", known.username], env=daemon.environment, check=True
        )

        def refused() -> bool:
            try:
                caller(client, token)
            except proa.Unauthenticated:
                return True
            return False

        wait_until(refused, "the token is refused")
        assert reason(client, issuer.token(jti="another")) == "TOKEN_INVALID"
    assert token not in (daemon.home / "log").read_text()


@pytest.mark.parametrize(
    ("command", "change"),
    [("set-access", ["own"]), ("scopes", ["--scope=basic"]), ("set-profile", ["default"])],
)
def test_watch_of_an_issuers_user_who_is_changed_by_hand_ends(daemon, issuer, command, change):
    metadata = (("authorization", f"Bearer {issuer.token()}"),)
    with proa.connect(daemon.address) as client:
        name = client.auth.GetCaller(ME, metadata=metadata).username
        watch = client.resources.WatchResources(v1.WatchResourcesRequest(), metadata=metadata)
        assert next(watch).events

        words = [BIN / "proad", "user", command, name, *change]
        subprocess.run(words, env=daemon.environment, check=True)

        with pytest.raises(proa.Unauthenticated) as caught:
            for _ in watch:
                pass
        assert caught.value.reason == "TOKEN_INVALID"
        # The token is good as before, for the user as the user is now.
        client.auth.GetCaller(ME, metadata=metadata)


def test_token_that_does_not_fit_is_refused(daemon, issuer):
    with proa.connect(daemon.address) as client:
        assert reason(client, issuer.token(aud="other")) == "TOKEN_INVALID"
        assert reason(client, issuer.token(groups=[])) == "SCOPE_MISSING"
        assert reason(client, Issuer(ec_key()).token()) == "TOKEN_INVALID"
        assert reason(client, issuer.token(iat=1, nbf=1, exp=2)) == "TOKEN_EXPIRED"
        # The daemon's own go on.
        request = v1.CreateTokenRequest(username="ada", password=PASSWORD)
        assert caller(client, client.auth.CreateToken(request).token).username == "ada"


def test_issuer_that_is_down_is_needed_for_no_key_that_is_known(daemon, issuer):
    with proa.connect(daemon.address) as client:
        caller(client, issuer.token())
        issuer.status, issuer.answer = 500, b"down"
        caller(client, issuer.token(jti="another"))
        issuer.keys.insert(0, rsa_key("new"))
        for number in range(20):
            assert reason(client, issuer.token(jti=str(number))) == "TOKEN_INVALID"
        assert issuer.fetches <= 2


def test_daemon_with_a_file_of_keys_checks_it_at_start(start_daemon, tmp_path):
    issuer, keys = Issuer(ec_key()), tmp_path / "jwks.json"
    config = write_config(tmp_path, f'jwks_file = "{keys}"')
    keys.write_bytes(issuer.jwks())
    daemon = start_daemon("--memory", PROA_CONFIG=config)
    with proa.connect(daemon.address) as client:
        caller(client, issuer.token())
    daemon.stop()
    for text in ("", "{}", '{"keys": []}'):
        keys.write_text(text)
        failed = subprocess.run(
            [BIN / "proad", "serve", "--memory"],
            env=daemon.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert failed.returncode == 1
        assert "key" in failed.stderr
        assert "Traceback" not in failed.stderr
