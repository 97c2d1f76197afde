import asyncio
import os
import pty
import re
import select
import signal
import stat
import sys
import time

import pytest

from integration.commands.conftest import PROAD
from proad.auth.keys import KeyRing
from proad.auth.scopes import Scope
from proad.config import Settings
from proad.errors import BadCredentialsError, TokenInvalidError
from rpc.daemon import authenticating


def log_in(state, name, password, scopes=None):
    """Give the scopes of a token as the daemon would issue it, and the token."""

    async def run():
        async with authenticating(Settings(state_dir=state)) as authenticator:
            return await authenticator.create_token(name, password, scopes, peer="unix:")

    return asyncio.run(run())


def test_version(proad):
    assert re.fullmatch(r"proad \d+\.\d+\.\d+\S*\n", proad("--version"))


def test_init_makes_everything_and_again_changes_nothing(proad, state):
    proad("init")
    files = {path: path.stat().st_mode for path in state.rglob("*")}
    assert {path.name for path in files} == {"keys", "000001.key", "proa.db"}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path, mode in files.items():
        assert stat.S_IMODE(mode) == (0o700 if path.is_dir() else 0o600), path
    key = KeyRing.open(state / "keys").newest
    proad("init")
    assert KeyRing.open(state / "keys").newest == key


def test_init_rotates_the_key(proad, state):
    proad("init")
    first = KeyRing.open(state / "keys").newest
    assert "restart" in proad("init", "--rotate-key")
    assert KeyRing.open(state / "keys").keys[0] == first


def test_a_user_before_the_first_start(proad, state):
    proad(
        "user", "add", "ann", "--scope", "basic", "--scope", "advanced", "--password-stdin",
        stdin="sehr geheim\n",
    )  # fmt: skip
    assert log_in(state, "ann", "sehr geheim").scopes == set(Scope)


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
def test_one_line_end_is_not_part_of_the_password(proad, state, typed, password):
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
def test_passwords_that_are_refused(proad, state, typed, what):
    assert what in proad("user", "add", "ann", "--password-stdin", stdin=typed, code=1)
    assert not state.exists()


def test_the_least_length_of_a_password_is_a_setting(proad, state):
    least = {"PROA_PASSWORD_MIN_LENGTH": "3"}
    proad("user", "add", "ann", "--password-stdin", stdin="abc", **least)
    assert "at least 8" in proad("user", "passwd", "ann", "--password-stdin", stdin="abc", code=1)
    log_in(state, "ann", "abc")  # what was set before stays good


def test_a_name_in_any_case_is_one_user(proad, state):
    output = proad("user", "add", "Ann", "--password-stdin", stdin="password")
    assert output.startswith("user ann added")
    output = proad("user", "add", "ANN", "--password-stdin", stdin="password", code=1)
    assert "'ann' exists already" in output
    assert proad("user", "disable", "aNN").startswith("user ann disabled")
    proad("user", "enable", "ANN")
    log_in(state, "ANN", "password")


def test_an_unknown_variable_is_refused_with_the_nearest_name(proad):
    variable = "PROA_" + "STATEDIR"
    text = proad("check-config", code=2, **{variable: "/nowhere"})
    assert text == f"proad: {variable}: unknown variable; did you mean PROA_STATE_DIR?\n"


def test_a_user_from_beginning_to_end(proad, state):
    proad("user", "add", "ann", "--scope", "basic", "--password-stdin", stdin="password one")
    proad("user", "add", "bob", "--password-stdin", stdin="password two")
    lines = proad("user", "list").splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["NAME", "SCOPES", "STATUS"],
        ["ann", "basic", "enabled"],
        ["bob", "-", "enabled"],
    ]

    proad("user", "scopes", "ann", "--scope", "advanced", "--scope", "basic")
    assert log_in(state, "ann", "password one").scopes == set(Scope)
    proad("user", "scopes", "ann")
    assert log_in(state, "ann", "password one").scopes == set()

    proad("user", "passwd", "ann", "--password-stdin", stdin="password three\n")
    log_in(state, "ann", "password three")
    with pytest.raises(BadCredentialsError):
        log_in(state, "ann", "password one")

    proad("user", "disable", "ann")
    assert ["ann", "-", "disabled"] in [
        line.split()[:3] for line in proad("user", "list").splitlines()
    ]
    with pytest.raises(BadCredentialsError):
        log_in(state, "ann", "password three")
    proad("user", "enable", "ann")
    log_in(state, "ann", "password three")

    proad("user", "remove", "ann")
    assert "ann" not in proad("user", "list")


def test_what_cannot_be_done_is_said_in_one_line(proad, state):
    proad("user", "add", "ann", "--password-stdin", stdin="password")
    assert "exists already" in proad(
        "user", "add", "ann", "--password-stdin", stdin="password", code=1
    )
    assert "username" in proad("user", "add", "a/b", "--password-stdin", stdin="password", code=1)
    for command in ("passwd", "disable", "remove"):
        assert "no user 'bob'" in proad("user", command, "bob", code=1)


def test_a_state_folder_that_cannot_be(proad, tmp_path):
    (tmp_path / "file").touch()
    assert "PROA_STATE_DIR" in proad("init", code=1, PROA_STATE_DIR=str(tmp_path / "file" / "x"))


def test_a_key_that_others_can_read(proad, state):
    proad("init")
    (state / "keys" / "000001.key").chmod(0o644)
    for command in (["user", "list"], ["serve", "--memory"]):
        assert "000001.key" in proad(*command, code=1)


def test_a_database_that_is_not_there(proad):
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
def test_wrong_usage(proad, arguments):
    proad(*arguments, code=2)


@pytest.mark.parametrize("command", [["serve"], ["check-config"], ["user", "list"]])
def test_wrong_settings(proad, command, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text("nonsense = 1\nlog_level = 'loud'\n")
    text = proad(*command, "--config", str(config), code=2)
    assert text.splitlines()[0].startswith(f"proad: {config}: ")
    assert f"proad: {config}: nonsense: unknown key" in text.splitlines()


def test_an_open_address_without_tls(proad):
    assert "TLS" in proad("serve", code=2, PROA_LISTEN="0.0.0.0:50051")


def test_a_file_of_settings(proad, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text(f"state_dir = '{tmp_path}/other'\n")
    proad("init", "--config", str(config), PROA_STATE_DIR="")
    assert (tmp_path / "other" / "proa.db").exists()
    shown = proad("check-config", PROA_STATE_DIR="", PROA_CONFIG=str(config))
    assert f"state_dir = {tmp_path}/other\n" in shown


def test_check_config_shows_the_settings_and_no_secret(proad, state):
    text = proad("check-config", PROA_DATABASE_URL="postgresql://me:geheim@h/d")
    assert f"state_dir = {state}\n" in text
    assert "listen = 127.0.0.1:50051\n" in text
    assert "token_lifetime = 30m\n" in text
    assert "geheim" not in text
    assert not state.exists()


def test_the_example_is_a_file_of_settings(proad, tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text(proad("check-config", "--example"))
    proad("check-config", "--config", str(config))


@pytest.mark.parametrize(("second", "code"), [("sehr geheim", 0), ("sehr gehein", 1)])
def test_a_password_is_asked_for_twice_and_not_shown(environment, state, second, code):
    typed = [b"sehr geheim\n", f"{second}\n".encode()] + ([b"\x04"] if code else [])
    status, screen = _on_a_terminal(["user", "add", "ann"], typed, environment)
    assert status == code
    assert "sehr geheim" not in screen
    if code == 0:
        log_in(state, "ann", "sehr geheim")


def _on_a_terminal(arguments, typed, environment):
    """Type each item when the screen has asked for it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*PROAD, *arguments], environment)
    screen, end = "", time.monotonic() + 60
    while time.monotonic() < end:
        if terminal not in select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown = os.read(terminal, 1024).decode()
        except OSError:  # how Linux says that the other side is closed
            break
        screen += shown
        # The space comes by itself, when the echo is turned off.
        if typed and screen.endswith(": "):
            os.write(terminal, typed.pop(0))
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen


async def test_disable_takes_effect_in_a_running_daemon_within_a_second(proad, state):
    await asyncio.to_thread(proad, "user", "add", "ann", "--password-stdin", stdin="password")
    async with authenticating(Settings(state_dir=state)) as authenticator:
        token = (await authenticator.create_token("ann", "password", peer="unix:")).token
        await authenticator.authenticate(f"Bearer {token}")
        await asyncio.to_thread(proad, "user", "disable", "ann")
        await asyncio.sleep(0.8)
        with pytest.raises(TokenInvalidError):
            await authenticator.authenticate(f"Bearer {token}")
