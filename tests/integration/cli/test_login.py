import json
import stat
import subprocess
import sys

PASSWORD = "correct horse battery\n"


def token_file(tmp_path):
    return tmp_path / "state" / "proa" / "tokens.json"


def test_login_stores_the_token_in_a_private_file(cli, daemon, tmp_path):
    output = cli.json("login", "ann", "--password-stdin", input=PASSWORD)
    assert output["scopes"] == ["SCOPE_BASIC", "SCOPE_ADVANCED"]
    assert "token" not in output
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
    token = json.loads(token_file(tmp_path).read_text())[daemon]
    fresh_ann.ok("logout")
    assert json.loads(token_file(tmp_path).read_text()) == {}
    fresh_ann.fails(4, "whoami")
    monkeypatch.setenv("PROA_TOKEN", token)
    assert "TOKEN_REVOKED" in fresh_ann.fails(4, "whoami")


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
    assert json.loads(file.read_text()) == {"other:1": "x"}


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
