import json
import stat
import subprocess
import sys

import pytest

import proa
from integration.daemon.conftest import BIN
from proa import v1

PASSWORD = "correct horse battery\n"


def token_file(tmp_path):
    return tmp_path / "state" / "proa" / "tokens.json"


def test_login_stores_the_token_in_a_private_file(cli, daemon, tmp_path):
    output = cli.json("login", "ann", "--password-stdin", input=PASSWORD)
    assert output["scopes"] == ["SCOPE_BASIC", "SCOPE_ADVANCED"]
    assert "token" not in output
    assert "refreshToken" not in output
    file = token_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(json.loads(file.read_text())) == [daemon]
    assert [entry.name for entry in file.parent.iterdir()] == ["tokens.json"]
    assert cli.json("whoami")["username"] == "ann"


def test_login_drops_one_line_end_of_the_password(cli):
    for end in ("", "\n", "\r\n", "\r"):
        cli.ok("login", "ann", "--password-stdin", input=PASSWORD.strip() + end)
    for end in ("\n\n", "\r\r\n", "\nmore\n"):
        output = cli.fails(4, "login", "ann", "--password-stdin", input=PASSWORD.strip() + end)
        assert "BAD_CREDENTIALS" in output


def test_login_without_a_password_prompts_for_it(cli):
    result = cli.run("login", "ann", input=PASSWORD)
    assert result.exit_code == 0
    assert PASSWORD.strip() not in result.output
    assert "ann (" in cli.ok("whoami")


def test_whoami_tells_the_end_of_the_login_and_what_it_is_good_for(cli, daemon, tmp_path):
    told = cli.ok("login", "ann", "--password-stdin", input=PASSWORD)
    until = told.rpartition("until ")[2].strip().removesuffix(".")
    who, good_for = cli.ok("whoami").splitlines()
    assert who.endswith(f"until {until}")
    assert good_for == "access all, profile default"


def test_times_of_another_day_have_a_date(cli, daemon, tmp_path):
    cli.ok("login", "ann", "--password-stdin", input=PASSWORD)
    entry = stored(tmp_path, daemon)
    later = entry | {"refresh_expire_time": "2199-12-24 10:00:00+00:00"}
    token_file(tmp_path).write_text(json.dumps({daemon: later}))
    assert "until 2199-12-24 " in cli.ok("whoami")


def test_whoami_names_the_variable_that_has_the_credentials(cli, daemon, monkeypatch):
    monkeypatch.setenv("PROA_USERNAME", "bob")
    monkeypatch.setenv("PROA_PASSWORD", PASSWORD.strip())
    assert "bob by PROA_USERNAME (basic) until " in cli.ok("whoami")


def test_login_with_scopes_gets_those_alone(cli):
    cli.ok("login", "ann", "--scope", "basic", "--password-stdin", input=PASSWORD)
    assert cli.json("whoami")["scopes"] == ["SCOPE_BASIC"]
    assert "SCOPE_MISSING" in cli.fails(4, "start", "web")


def test_login_with_a_scope_beyond_the_users_exits_with_not_allowed(cli):
    output = cli.fails(4, "login", "bob", "--scope", "advanced", "--password-stdin", input=PASSWORD)
    assert "SCOPE_MISSING" in output


def test_login_with_a_wrong_password_exits_with_not_allowed(cli, tmp_path):
    output = cli.fails(4, "login", "ann", "--password-stdin", input="wrong\n")
    assert "BAD_CREDENTIALS" in output
    assert not token_file(tmp_path).exists()


def test_command_without_a_login_exits_with_not_allowed(cli):
    output = cli.fails(4, "ls")
    assert "TOKEN_MISSING" in output
    assert "Hint: proa login USERNAME logs you in" in output


def test_logout_revokes_and_removes_the_token(fresh_ann, daemon, tmp_path, monkeypatch):
    token = json.loads(token_file(tmp_path).read_text())[daemon]["token"]
    fresh_ann.ok("logout")
    assert json.loads(token_file(tmp_path).read_text()) == {}
    fresh_ann.fails(4, "whoami")
    monkeypatch.setenv("PROA_TOKEN", token)
    assert "TOKEN_REVOKED" in fresh_ann.fails(4, "whoami")


def stored(tmp_path, daemon):
    return json.loads(token_file(tmp_path).read_text())[daemon]


def make_due(tmp_path, daemon):
    """Let the token be due for its renewal, and the daemon refuse it."""
    entry = stored(tmp_path, daemon)
    entry |= {"token": "over", "renew_time": "2026-01-01T00:00:00+00:00"}
    token_file(tmp_path).write_text(json.dumps({daemon: entry}))
    return entry


def test_command_after_the_token_ended_renews_the_login(fresh_ann, daemon, tmp_path):
    before = make_due(tmp_path, daemon)
    assert "ann" in fresh_ann.ok("whoami")
    after = stored(tmp_path, daemon)
    assert after["refresh_token"] != before["refresh_token"]
    assert after["token"] != "over"
    assert stat.S_IMODE(token_file(tmp_path).stat().st_mode) == 0o600
    assert [entry.name for entry in token_file(tmp_path).parent.iterdir()] == ["tokens.json"]


def test_command_with_a_token_that_the_daemon_refuses_renews_the_login(fresh_ann, daemon, tmp_path):
    entry = stored(tmp_path, daemon)
    token_file(tmp_path).write_text(json.dumps({daemon: entry | {"token": "of another key"}}))
    assert "ann" in fresh_ann.ok("whoami")
    assert stored(tmp_path, daemon)["refresh_token"] != entry["refresh_token"]


def test_commands_at_once_renew_the_login_once(fresh_ann, daemon, tmp_path):
    make_due(tmp_path, daemon)
    commands = [
        subprocess.Popen([BIN / "proa", "whoami"], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert all("ann" in command.communicate(timeout=120)[0] for command in commands)
    assert "ann" in fresh_ann.ok("whoami")


def test_command_after_the_login_was_stolen_exits_with_not_allowed(fresh_ann, daemon, tmp_path):
    entry = make_due(tmp_path, daemon)
    with proa.connect(daemon) as thief:
        request = v1.RefreshTokenRequest(refresh_token=entry["refresh_token"])
        for _ in range(2):
            request.refresh_token = thief.auth.RefreshToken(request).refresh_token
    output = fresh_ann.fails(4, "ls")
    assert "Hint: proa login USERNAME logs you in" in output


def test_logout_after_the_token_ended_ends_the_login(fresh_ann, daemon, tmp_path):
    make_due(tmp_path, daemon)
    fresh_ann.ok("whoami")
    entry = make_due(tmp_path, daemon)
    fresh_ann.ok("logout")
    request = v1.RefreshTokenRequest(refresh_token=entry["refresh_token"])
    with proa.connect(daemon) as client, pytest.raises(proa.Unauthenticated):
        client.auth.RefreshToken(request)


def test_file_of_an_earlier_version_is_read(fresh_ann, daemon, tmp_path):
    token_file(tmp_path).write_text(json.dumps({daemon: stored(tmp_path, daemon)["token"]}))
    assert "ann" in fresh_ann.ok("whoami")


def test_logout_without_a_login_says_so(cli):
    assert "Nobody is logged in" in cli.run("logout").stderr


def test_token_in_the_environment_overrides_the_stored_one(ann, monkeypatch):
    monkeypatch.setenv("PROA_TOKEN", "made up")
    output = ann.fails(4, "ls")
    assert "TOKEN_INVALID" in output
    assert "Hint: that is the token in PROA_TOKEN; put a valid one there, or unset it" in output


def test_username_and_password_in_the_environment_log_in(cli, monkeypatch):
    monkeypatch.setenv("PROA_USERNAME", "bob")
    monkeypatch.setenv("PROA_PASSWORD", PASSWORD.strip())
    assert cli.json("whoami")["username"] == "bob"
    monkeypatch.delenv("PROA_PASSWORD")
    assert "PROA_USERNAME is set without PROA_PASSWORD" in cli.fails(2, "whoami")


def test_login_at_two_daemons_stores_both_tokens(fresh_ann, tmp_path):
    file = token_file(tmp_path)
    file.write_text(json.dumps({"other:1": "x", **json.loads(file.read_text())}))
    fresh_ann.ok("logout")
    assert json.loads(file.read_text()).keys() == {"other:1"}
    assert stored(tmp_path, "other:1")["token"] == "x"


def test_command_with_a_damaged_token_file_exits_with_usage(ann, tmp_path):
    token_file(tmp_path).write_text("{")
    assert "log in again" in ann.fails(2, "ls")


def test_token_over_an_insecure_network_is_refused(cli, monkeypatch):
    monkeypatch.setenv("PROA_TOKEN", "x")
    assert "in the clear" in cli.fails(2, "--target", "192.0.2.1:1", "ls")


def test_password_over_an_insecure_network_is_refused(cli):
    output = cli.fails(2, "-t", "192.0.2.1:1", "login", "ann", "--password-stdin", input=PASSWORD)
    assert "in the clear" in output


def test_command_without_a_daemon_exits_with_unavailable(cli):
    output = cli.fails(6, "--target", "127.0.0.1:1", "ls")
    assert "Hint: is proad running at 127.0.0.1:1? choose another with --target" in output


def test_command_without_typer_names_the_extra():
    code = "import sys; sys.modules['typer'] = None; from proa.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "proa: the extra 'cli' is not installed (no module typer); "
        "install it with: pip install 'proa[cli]'\n"
    )
