"""The login socket of a daemon in a process of its own: its path, a reload, client and commands."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import proa
import proa.aio
from integration.daemon.conftest import BIN, Daemon
from integration.daemon.test_reload import proad_reload
from other_user import ask_as
from proa import v1

Start = Callable[..., Daemon]
CALLER = v1.GetCallerRequest()
ROOT = '[[local_user]]\nname = "root"\nuser = "ada"\nscopes = ["basic", "advanced"]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o755)
    return folder / "login.sock"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "proad.toml"


@pytest.fixture
def start(start_daemon: Start, path: Path, config: Path) -> Callable[..., Daemon]:
    def run(tables: str = ROOT, **environment: str) -> Daemon:
        config.write_text(f'login_socket = "{path}"\nsocket_mode = "0666"\n{tables}')
        return start_daemon("--memory", "--config", str(config), **environment)

    return run


def refused(daemon: Daemon) -> str:
    """Return why a daemon with these settings does not start."""
    done = subprocess.run(
        [BIN / "proad", "serve", *daemon.arguments],
        env=daemon.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_client_gets_and_renews_tokens(start: Callable[..., Daemon], path: Path):
    daemon = start()
    assert [e["login_socket"] for e in daemon.log() if e["event"] == "serving"] == [str(path)]
    with proa.connect(daemon.address, local_login=path, scopes=["basic"]) as client:
        first = client.auth.GetCaller(CALLER)
        client.auth.RevokeToken(v1.RevokeTokenRequest())
        assert client.auth.GetCaller(CALLER).expire_time.seconds >= first.expire_time.seconds
    assert (first.username, list(first.scopes)) == ("ada", [v1.SCOPE_BASIC])

    async def ask() -> str:
        async with proa.aio.connect(daemon.address, local_login=path) as client:
            return (await client.auth.GetCaller(CALLER)).username

    assert asyncio.run(ask()) == "ada"


def test_client_whom_nothing_fits_is_unauthenticated(start: Callable[..., Daemon], path: Path):
    daemon = start(tables="")
    with (
        proa.connect(daemon.address, local_login=path) as client,
        pytest.raises(proa.Unauthenticated) as caught,
    ):
        client.auth.GetCaller(CALLER)
    assert caught.value.reason == "BAD_CREDENTIALS"
    assert "user id 0 of the host stands for no user" in caught.value.message


def test_reload_of_the_tables_is_in_force_for_the_next_login(
    start: Callable[..., Daemon], path: Path, config: Path
):
    daemon = start(tables="")
    before = json.loads(ask_as(0, path, b"{}\n", group=0))
    assert before["error"]["message"]
    config.write_text(config.read_text() + ROOT)

    assert proad_reload(daemon) == "reloaded; changed settings: local_user\n"

    assert json.loads(ask_as(0, path, b"{}\n", group=0))["token"]


def test_user_who_was_given_the_id_of_another_gets_nothing(
    start_daemon: Start, path: Path, config: Path, tmp_path: Path
):
    """The daemon sees a user database of the test's own, in a mount namespace of its own."""
    passwd = tmp_path / "passwd"
    others = Path("/etc/passwd").read_text()
    passwd.write_text(f"{others}ann:x:54321:54321::/:/bin/false\n")
    config.write_text(
        f'login_socket = "{path}"\nsocket_mode = "0666"\n'
        '[[local_user]]\nname = "ann"\nuser = "ada"\n'
    )
    mount = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    home = tmp_path / "daemon"
    home.mkdir()
    daemon = Daemon(
        home, {}, ["--memory", "--config", str(config)],
        prefix=["unshare", "--mount", "sh", "-c", mount, "sh"],
    )  # fmt: skip
    try:
        daemon.start()
        assert json.loads(ask_as(54321, path, b"{}\n"))["token"]
        passwd.write_text(f"{others}eve:x:54321:54321::/:/bin/false\n")
        assert json.loads(ask_as(54321, path, b"{}\n"))["error"]["code"] == 16
    finally:
        if daemon.process is not None:
            daemon.stop()


def test_path_that_others_could_change_is_refused(
    start: Callable[..., Daemon], path: Path, tmp_path: Path
):
    daemon = start()
    second = Daemon(tmp_path, {}, daemon.arguments)
    assert "another process serves there" in refused(second)
    daemon.stop()
    assert not path.exists()

    path.write_text("not a socket")
    assert "is there and no socket" in refused(daemon)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert "is there and no socket" in refused(daemon)
    path.unlink()
    path.parent.chmod(0o777)
    assert "others may write to it" in refused(daemon)


def run_cli(daemon: Daemon, *arguments: str, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [BIN / "proa", "--target", daemon.address, *arguments],
        env=daemon.environment | {"XDG_STATE_HOME": str(daemon.home)} | environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_commands_log_in_and_renew_until_the_settings_change(
    start: Callable[..., Daemon], path: Path, config: Path
):
    daemon = start()
    login = ("login", "--login-socket", str(path))

    assert run_cli(daemon, *login, "--scope", "basic") == "Logged in as ada (basic).\n"
    assert run_cli(daemon, "whoami").startswith("ada (basic) until ")
    tokens = daemon.home / "proa/tokens.json"
    [entry] = json.loads(tokens.read_text()).values()
    assert "refresh_token" not in {name for name, value in entry.items() if value}
    _expire(tokens)
    assert run_cli(daemon, "whoami").startswith("ada (basic) until ")

    config.write_text(f'login_socket = "{path}"\n')
    proad_reload(daemon)
    _expire(tokens)
    assert "TOKEN_INVALID" in run_cli(daemon, "whoami", code=4)
    output = run_cli(daemon, *login, code=4)
    assert "BAD_CREDENTIALS" in output
    assert "Hint: give a user's name instead, to log in with a password" in output
    assert "takes no password" in run_cli(daemon, *login, "--password-stdin", code=2)


def _expire(tokens: Path) -> None:
    entries: dict[str, dict[str, Any]] = json.loads(tokens.read_text())
    for entry in entries.values():
        entry |= {"token": "over", "renew_time": "2026-01-01T00:00:00+00:00"}
    tokens.write_text(json.dumps(entries))


def test_login_where_no_login_socket_is_says_how_to_have_one(start_daemon: Start, tmp_path: Path):
    daemon = start_daemon("--memory")
    output = run_cli(daemon, "login", "--login-socket", str(tmp_path / "none"), code=6)
    assert "No such file" in output
    assert "Hint: is proad running, with the setting login_socket?" in output
