import asyncio
import os
import pty
import re
import select
import signal
import stat
import sys
import time
import tomllib

import pytest

from integration.commands.conftest import PROAD
from integration.commands.in_process import give
from proad.auth.keys import KeyRing
from proad.config import Settings
from proad.errors import BadCredentialsError, TokenInvalidError
from proad.model.scope import Scope
from rpc.daemon import authenticating


def log_in(state, name, password, scopes=None):
    """Return the token that the daemon would issue."""

    async def run():
        async with authenticating(Settings(state_dir=state)) as authenticator:
            return await authenticator.create_token(name, password, scopes, peer="unix:")

    return asyncio.run(run())


def test_version_prints_the_version(proad):
    assert re.fullmatch(r"proad \d+\.\d+\.\d+\S*\n", proad("--version"))


def test_init_creates_the_state_once(proad, state):
    proad("init")
    files = {path: path.stat().st_mode for path in state.rglob("*")}
    assert {path.name for path in files} == {"keys", "000001.key", "proa.db"}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path, mode in files.items():
        assert stat.S_IMODE(mode) == (0o700 if path.is_dir() else 0o600), path
    key = KeyRing.open(state / "keys").newest
    proad("init")
    assert KeyRing.open(state / "keys").newest == key


def test_init_rotate_key_creates_a_new_key(proad, state):
    proad("init")
    first = KeyRing.open(state / "keys").newest
    assert "restart" in proad("init", "--rotate-key")
    assert KeyRing.open(state / "keys").keys[0] == first


def test_user_add_before_the_first_start_creates_the_state(proad, state):
    proad(
        "user", "add", "ann", "--scope", "basic", "--scope", "advanced", "--password-stdin",
        stdin="sehr geheim\n",
    )  # fmt: skip
    assert log_in(state, "ann", "sehr geheim").scopes == {Scope.BASIC, Scope.ADVANCED}


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        ("ä" * 36, "ä" * 36),
        (" password \n\n", " password \n"),
        ("password\r\n", "password"),
        ("password\r", "password"),
        ("password\n\r", "password\n"),
        ("password\r\r\n", "password\r"),
    ],
)
def test_user_add_drops_one_line_end_of_the_password(proad, state, typed, password):
    proad("user", "add", "ann", "--password-stdin", stdin=typed)
    log_in(state, "ann", password)


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("\n", "empty"),
        ("x" * 73 + "\n", "72 bytes"),
        ("seven77\r\n", "at least 8 characters"),
        (b"\xff\xfe\n", "UTF-8"),
    ],
)
def test_user_add_with_an_impossible_password_is_refused(proad, state, typed, what):
    assert what in proad("user", "add", "ann", "--password-stdin", stdin=typed, code=1)
    assert not state.exists()


def test_user_add_takes_the_minimum_length_from_the_settings(proad, state):
    least = {"PROA_PASSWORD_MIN_LENGTH": "3"}
    proad("user", "add", "ann", "--password-stdin", stdin="abc", **least)
    assert "at least 8" in proad("user", "passwd", "ann", "--password-stdin", stdin="abc", code=1)
    log_in(state, "ann", "abc")  # an existing password stays valid


def test_user_commands_ignore_the_case_of_names(given, state):
    output = given("user", "add", "Ann", "--password-stdin", stdin="password")
    assert output.startswith("user ann added")
    output = given("user", "add", "ANN", "--password-stdin", stdin="password", code=1)
    assert "'ann' exists already" in output
    assert given("user", "disable", "aNN").startswith("user ann disabled")
    given("user", "enable", "ANN")
    log_in(state, "ANN", "password")


def test_check_config_with_an_unknown_variable_names_the_nearest_one(proad):
    variable = "PROA_" + "STATEDIR"
    text = proad("check-config", code=2, **{variable: "/nowhere"})
    assert text == f"proad: {variable}: unknown variable; did you mean PROA_STATE_DIR?\n"


def test_user_commands_change_what_a_login_gets(proad, state):
    proad("user", "add", "ann", "--scope", "basic", "--password-stdin", stdin="password one")
    proad("user", "add", "bob", "--password-stdin", stdin="password two")
    lines = proad("user", "list").splitlines()
    assert [line.split()[:6] for line in lines] == [
        ["NAME", "SCOPES", "PROFILE", "ACCESS", "TEAM", "STATUS"],
        ["ann", "basic", "default", "all", "-", "enabled"],
        ["bob", "-", "default", "all", "-", "enabled"],
    ]

    said = proad(
        *("user", "scopes", "ann", "--scope", "audit", "--scope", "advanced", "--scope", "basic")
    )
    assert said.startswith("user ann now has scope basic, advanced and audit;")
    assert log_in(state, "ann", "password one").scopes == set(Scope)
    proad("user", "scopes", "ann")
    assert log_in(state, "ann", "password one").scopes == set()

    proad("user", "passwd", "ann", "--password-stdin", stdin="password three\n")
    log_in(state, "ann", "password three")
    with pytest.raises(BadCredentialsError):
        log_in(state, "ann", "password one")

    proad("user", "disable", "ann")
    assert ["ann", "-", "default", "all", "-", "disabled"] in [
        line.split()[:6] for line in proad("user", "list").splitlines()
    ]
    with pytest.raises(BadCredentialsError):
        log_in(state, "ann", "password three")
    proad("user", "enable", "ann")
    log_in(state, "ann", "password three")

    proad("user", "remove", "ann")
    assert "ann" not in proad("user", "list")


def test_user_profile_is_one_of_the_configured(proad, given, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text("[policy.profiles.ci]\nmax_cpus = 2\n")
    add = ("user", "add", "ann", "--password-stdin", "--profile")

    refused = given(*add, "ci", stdin="password", code=1)
    given(*add, "ci", "--config", str(config), stdin="password")
    assert "'ci' is not configured; there are default, desktop" in refused
    assert "[policy.profiles.ci] is named by --config" in refused
    assert given("user", "list").splitlines()[1].split()[2] == "ci"

    assert "'x' is not configured" in given("user", "set-profile", "ann", "x", code=1)
    said = proad("user", "set-profile", "ann", "desktop")
    assert said.startswith("user ann now has profile desktop;")
    assert given("user", "list").splitlines()[1].split()[2] == "desktop"
    assert "no user 'bob'" in given("user", "set-profile", "bob", "desktop", code=1)


def test_team_commands_administrate_teams_and_access(proad, state):
    assert proad("team", "add", "Red") == "team red added\n"
    said = proad(
        *("user", "add", "tim", "--access", "team", "--team", "red", "--password-stdin"),
        stdin="password one\n",
    )
    assert said == "user tim added with no scope and access team in team red\n"
    assert [line.split()[:2] for line in proad("team", "list").splitlines()] == [
        ["NAME", "MEMBERS"],
        ["red", "1"],
    ]
    assert "1 member" in proad("team", "remove", "red", code=1)
    assert "is now crimson" in proad("team", "rename", "red", "crimson")
    listed = proad("user", "list").splitlines()
    assert listed[1].split()[:6] == ["tim", "-", "default", "team", "crimson", "enabled"]

    said = proad("user", "set-access", "tim", "own")
    assert said.startswith("user tim now has access own; tokens given before")
    assert "removed" in proad("team", "remove", "crimson")
    assert "no team 'red'" in proad("user", "set-access", "tim", "team", "--team", "red", code=1)
    assert "--team" in proad("user", "set-access", "tim", "team", code=1)


def test_user_commands_say_that_a_tenant_has_no_network(proad, environment, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text(
        '[policy.profiles.red]\nallowed_container_networks = ["red"]\n'
        'allowed_domain_networks = ["red"]\n'
        '[policy.profiles.half]\nallowed_container_networks = ["red"]\n'
    )
    environment["PROA_CONFIG"] = str(config)

    def noted(*arguments):
        return give(environment, "user", *arguments, stdin="password one\n").partition("note: ")[2]

    both = "allowed_container_networks and allowed_domain_networks of profile default name no"
    assert noted("add", "ann", "--password-stdin") == ""
    assert noted("set-access", "ann", "own").startswith(both)
    assert noted("set-profile", "ann", "half").startswith("allowed_domain_networks of profile half")
    assert noted("set-profile", "ann", "red") == ""
    assert noted("add", "bob", "--access", "own", "--password-stdin").startswith(both)
    assert noted("add", "cay", "--access=own", "--profile=red", "--password-stdin") == ""


def test_user_commands_that_fail_print_one_line(proad, given):
    given("user", "add", "ann", "--password-stdin", stdin="password")
    assert "exists already" in proad(
        "user", "add", "ann", "--password-stdin", stdin="password", code=1
    )
    assert "username" in proad("user", "add", "a/b", "--password-stdin", stdin="password", code=1)
    for command in ("passwd", "disable", "remove"):
        assert "no user 'bob'" in proad("user", command, "bob", code=1)


def test_init_with_an_impossible_state_folder_names_the_setting(proad, tmp_path):
    (tmp_path / "file").touch()
    assert "PROA_STATE_DIR" in proad("init", code=1, PROA_STATE_DIR=str(tmp_path / "file" / "x"))


def test_commands_with_a_key_that_others_can_read_are_refused(proad, given, state):
    given("init")
    (state / "keys" / "000001.key").chmod(0o644)
    for command in (["user", "list"], ["serve", "--memory"]):
        assert "000001.key" in proad(*command, code=1)


def test_user_list_without_a_database_hides_the_password(proad):
    url = "postgresql://me:geheim@127.0.0.1:1/proa"
    text = proad("user", "list", code=1, PROA_DATABASE_URL=url)
    assert "refused" in text
    assert "geheim" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["user", "add", "ann", "--scope", "root"],
        ["user", "add", "ann", "--password", "x"],
        ["init", "--config", "/nowhere.toml"],
    ],
)
def test_wrong_arguments_exit_with_2(proad, arguments):
    proad(*arguments, code=2)


def test_unknown_choice_is_refused_in_plain_words(proad):
    text = proad("user", "set-access", "ann", "owm", code=2)
    assert "'access': 'owm' is not one of 'all', 'team', 'own'" in text


@pytest.mark.parametrize("command", [["serve"], ["check-config"], ["user", "list"]])
def test_wrong_settings_are_each_named(proad, command, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text("nonsense = 1\nlog_level = 'loud'\n")
    text = proad(*command, "--config", str(config), code=2)
    assert text.splitlines()[0].startswith(f"proad: {config}: ")
    assert f"proad: {config}: nonsense: unknown key" in text.splitlines()


def test_serve_on_an_open_address_without_tls_is_refused(proad):
    assert "TLS" in proad("serve", code=2, PROA_LISTEN="0.0.0.0:50051")


def test_config_file_sets_the_settings(proad, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text(f"state_dir = '{tmp_path}/other'\n")
    proad("init", "--config", str(config), PROA_STATE_DIR="")
    assert (tmp_path / "other" / "proa.db").exists()
    shown = proad("check-config", PROA_STATE_DIR="", PROA_CONFIG=str(config))
    assert f'state_dir = "{tmp_path}/other"\n' in shown


def test_check_config_prints_the_profiles_as_the_ceiling_leaves_them(proad, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text("[policy]\nmax_cpus = 4\n[policy.profiles.ci]\nmax_cpus = 2\n")
    policy = tomllib.loads(proad("check-config", "--config", str(config)))["policy"]
    assert policy["max_cpus"] == 4
    assert policy["profiles"]["ci"] == {"max_cpus": 2, "allow_new_privileges": False}
    assert policy["profiles"]["default"] == {"allow_new_privileges": False}


def test_check_config_prints_the_settings_without_secrets(proad, state):
    text = proad("check-config", PROA_DATABASE_URL="postgresql://me:geheim@h/d")
    shown = tomllib.loads(text)
    assert shown["state_dir"] == str(state)
    assert shown["listen"] == ["127.0.0.1:50051"]
    assert shown["token_lifetime"] == "30m"
    assert "geheim" not in text
    assert not state.exists()


def test_check_config_example_is_a_valid_file(proad, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text(proad("check-config", "--example"))
    proad("check-config", "--config", str(config))


@pytest.mark.parametrize(("second", "code"), [("sehr geheim", 0), ("sehr gehein", 1)])
def test_user_add_on_a_terminal_asks_twice_without_echo(environment, state, second, code):
    typed = [b"sehr geheim\n", f"{second}\n".encode()] + ([b"\x04"] if code else [])
    status, screen = _on_a_terminal(["user", "add", "ann"], typed, environment)
    assert status == code
    assert "sehr geheim" not in screen
    if code == 0:
        log_in(state, "ann", "sehr geheim")


def _on_a_terminal(arguments, typed, environment):
    """Type each item once the screen asks for it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*PROAD, *arguments], environment)
    screen, end = "", time.monotonic() + 60
    while time.monotonic() < end:
        if terminal not in select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown = os.read(terminal, 1024).decode()
        except OSError:  # Linux reports the closed other side in this way
            break
        screen += shown
        # The space is printed alone, once the echo is off.
        if typed and screen.endswith(": "):
            os.write(terminal, typed.pop(0))
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen


async def test_user_disable_ends_the_tokens_in_a_running_daemon(proad, state):
    """How soon is tested by a clock; see tests/unit/auth/test_caller.py."""
    await asyncio.to_thread(proad, "user", "add", "ann", "--password-stdin", stdin="password")
    async with authenticating(Settings(state_dir=state)) as authenticator:
        token = (await authenticator.create_token("ann", "password", peer="unix:")).token
        await authenticator.authenticate(f"Bearer {token}")
        await asyncio.to_thread(proad, "user", "disable", "ann")

        async def until_refused():
            while True:
                await authenticator.authenticate(f"Bearer {token}")
                await asyncio.sleep(0.01)

        with pytest.raises(TokenInvalidError):
            await until_refused()


def test_user_renamed_logs_in_by_the_new_name_alone(proad, given, state):
    given("user", "add", "ann", "--scope", "audit", "--password-stdin", stdin="password one")
    given("user", "add", "bob", "--password-stdin", stdin="password two")
    assert proad("user", "rename", "Ann", "Anna").startswith("user ann is now anna;")
    assert log_in(state, "anna", "password one").scopes == {Scope.AUDIT}
    with pytest.raises(BadCredentialsError):
        log_in(state, "ann", "password one")
    assert "'bob'" in given("user", "rename", "anna", "bob", code=1)
    assert "anna" in given("user", "list")
