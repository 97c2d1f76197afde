"""Hosts that the process refuses to run on, and how the process hardens itself."""

import os
import resource
import signal
import subprocess
from datetime import timedelta

import pytest

from integration.commands.conftest import PROAD
from unit.host.test_tls import DAY, KINDS, certificate, pem_key

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
COMMANDS = [["serve", "--memory"], ["init"], ["user", "list"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_state_folder_behind_a_link_is_refused(proad, state, tmp_path, command):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    state.symlink_to(tmp_path / "elsewhere")
    assert f"{state}: is a symbolic link; name the folder" in proad(*command, code=1)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@as_root
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["", "keys", "keys/000001.key", "proa.db"])
def test_state_of_another_user_is_refused(proad, given, state, command, what):
    given("init")
    os.chown(state / what, 12345, -1)
    path = str(state / what).rstrip("/")
    assert f"proad: {path}: belongs to uid 12345" in proad(*command, code=1)


@pytest.mark.parametrize("what", ["keys", "keys/000001.key", "proa.db"])
def test_part_of_the_state_behind_a_link_is_refused(proad, given, state, tmp_path, what):
    given("init")
    (state / what).rename(tmp_path / "elsewhere")
    (state / what).symlink_to(tmp_path / "elsewhere")
    assert f"{state / what}: is a symbolic link" in proad("serve", "--memory", code=1)


def test_database_in_a_folder_that_others_can_write_is_refused(proad, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    url = f"sqlite:///{tmp_path}/open/proa.db"
    assert "others may put a file of theirs" in proad("init", code=1, PROA_DATABASE_URL=url)
    assert list((tmp_path / "open").iterdir()) == []


@pytest.mark.parametrize("command", [["serve", "--memory"], ["check-config"]])
def test_tls_files_with_a_defect_are_refused_with_the_cause(proad, tmp_path, command):
    key = KINDS["ec"]()
    files = {"cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    variables = {f"PROA_TLS_{name.upper()}_FILE": str(path) for name, path in files.items()}
    files["key"].write_bytes(pem_key(key))
    files["key"].chmod(0o600)
    for chain, what in [
        (certificate(key, -3 * DAY, -DAY), "expired on"),
        (certificate(key, timedelta(hours=1)), "is not valid before"),
        (certificate(KINDS["ec"]()), "is not the key of the first certificate"),
        (b"nonsense", "certificates in PEM"),
    ]:
        files["cert"].write_bytes(chain)
        assert what in proad(*command, code=1, **variables)
    files["cert"].write_bytes(certificate(key))
    files["key"].chmod(0o640)
    assert "others may use this key" in proad(*command, code=1, **variables)


def test_daemon_killed_by_a_fault_leaves_no_core(environment, tmp_path):
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("core dumps are limited here anyway")
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *PROAD, "serve", "--memory"],
        env=environment | {"PROA_LISTEN": "127.0.0.1:0", "PROA_LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    while b'"serving"' not in (line := process.stderr.readline()):
        assert line, "the daemon does not serve"
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
