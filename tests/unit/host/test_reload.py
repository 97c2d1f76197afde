"""A reload takes over all that changed, or nothing."""

import asyncio

import pytest

from proad.config import LogLevel, Settings
from proad.control import Control, ask_to_reload, controlled
from proad.errors import SetupError
from proad.reload import Prepared, Reloader


class Part:
    """Has one setting, and refuses some values of it."""

    def __init__(self, name, refused=()):
        self.settings = frozenset({name})
        self.name = name
        self.refused = refused
        self.taken = []

    def prepare(self, settings):
        value = getattr(settings, self.name)
        if value in self.refused:
            raise SetupError(f"{self.name}: no")
        return Prepared(lambda: self.taken.append(value))


@pytest.fixture
def loaded(tmp_path):
    """The settings that the next reload loads, by their names."""
    return {"state_dir": tmp_path}


@pytest.fixture
def reloader(loaded):
    return Reloader(Settings(**loaded), lambda: Settings(**loaded))


async def test_reload_tells_what_changed_and_what_needs_a_restart(reloader, loaded):
    reloader.add(level := Part("log_level"))
    loaded |= {"log_level": "debug", "listen": "127.0.0.1:1", "password_min_length": 9}

    first, second = await reloader.reload(), await reloader.reload()

    assert (first.changed, first.restart) == (["log_level"], ["listen"])
    assert (second.changed, second.restart) == ([], ["listen"])
    assert level.taken == [LogLevel.DEBUG, LogLevel.DEBUG]


async def test_reload_that_one_part_refuses_changes_no_part(reloader, loaded):
    reloader.add(level := Part("log_level"))
    reloader.add(Part("token_issuer", refused={"bad"}))
    loaded |= {"log_level": "debug", "token_issuer": "bad"}

    with pytest.raises(SetupError, match="token_issuer: no"):
        await reloader.reload()
    assert level.taken == []

    loaded["token_issuer"] = "good"
    assert (await reloader.reload()).changed == ["log_level", "token_issuer"]


async def test_reload_tells_of_files_that_changed(reloader):
    class Files(Part):
        def prepare(self, _settings):
            return Prepared(
                lambda: None, frozenset({"tls_key_file"}), frozenset({"tls_client_ca_file"})
            )

    reloader.add(Files("tls_key_file"))

    done = await reloader.reload()

    assert (done.changed, done.restart) == (["tls_key_file"], ["tls_client_ca_file"])


async def test_control_socket_serves_below_a_long_path_and_is_private(loaded, reloader):
    folder = loaded["state_dir"] / ("d" * 120)
    folder.mkdir(mode=0o700)
    (folder / "control.sock").touch()  # of a daemon that was killed

    async with controlled(folder, _control(reloader)):
        assert (folder / "control.sock").stat().st_mode & 0o777 == 0o600
        assert await _asked(folder) == ([], [])

    assert not (folder / "control.sock").exists()


async def test_ask_to_reload_passes_on_why_nothing_changed(loaded, reloader):
    def load():
        raise SetupError("file: line 1: no")

    reloader = Reloader(Settings(state_dir=loaded["state_dir"]), load)
    async with controlled(loaded["state_dir"], _control(reloader)):
        with pytest.raises(SetupError, match=r"(?s)nothing changed.*file: line 1: no"):
            await _asked(loaded["state_dir"])


def test_ask_to_reload_without_a_daemon_is_refused(tmp_path):
    with pytest.raises(SetupError, match="no daemon runs on"):
        ask_to_reload(tmp_path)
    with pytest.raises(SetupError, match="no daemon runs on"):
        ask_to_reload(tmp_path / "none")


async def _asked(folder):
    return await asyncio.to_thread(ask_to_reload, folder)


async def test_control_socket_hangs_up_on_a_line_that_is_no_command(loaded, reloader, caplog):
    folder = loaded["state_dir"]
    async with controlled(folder, _control(reloader)):
        for line in (b"[" * 900_000, b'[["reload"]]', b'["reload", 1]', b"5", b"\0"):
            reader, writer = await asyncio.open_unix_connection(folder / "control.sock")
            writer.write(line + b"\n")
            assert await reader.read() == b""
            writer.close()
    assert not caplog.records


def _control(reloader):
    control = Control()
    control.add("reload", reloader.command)
    return control
