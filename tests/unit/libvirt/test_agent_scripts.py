"""The scripts for the shells of guests, in the shells that guests have."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from eventually import wait_until
from proad.drivers.libvirt.agent import scripts
from proad.drivers.libvirt.agent.talk import Ended
from proad.drivers.libvirt.agent.tools import GuestTools

# Those that are there: Debian's sh is dash.
SHELLS = [
    pytest.param((path, *options), id=name)
    for name, *options in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
    if (path := shutil.which(name))
]
SETSID = shutil.which("setsid") or "setsid"

pytestmark = pytest.mark.parametrize("shell", SHELLS)


def run(shell: tuple[str, ...], script: str, *args: object, **how):
    words = [*shell, "-c", script, "sh", *map(str, args)]
    return subprocess.run(words, capture_output=True, check=False, timeout=60, **how)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder"


def test_command_begins_with_what_the_agent_gave_it(shell: tuple[str, ...], folder: Path):
    # Names that a script might use itself.
    env = {"PATH": "/nowhere", "at": "1", "IFS": "x", "folder": "2", "d": "a\nb"}
    script = 'echo "$at$folder$d"; umask; cat; echo "$1|$2|$#" >&2; exit 7'
    done = run(
        shell,
        scripts.run(session=True, input=False),
        folder,
        SETSID,
        "/bin/sh",
        "-c",
        script.replace("cat", "/bin/cat"),
        "name",
        "a  b",
        "$HOME",
        env=env,
        input=b"given",
        umask=0o022,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")
    assert (folder / "1").read_bytes() == b"12a\nb\n0022\ngiven"
    assert (folder / "2").read_bytes() == b"a  b|$HOME|2\n"
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("leads", [False, True])
def test_command_leads_its_group_by_the_process_id_of_its_shell(
    shell: tuple[str, ...], folder: Path, *, leads: bool
):
    words = [*shell, "-c", scripts.run(session=True, input=False), "sh", str(folder), SETSID]
    with subprocess.Popen([*words, "sleep", "100"], start_new_session=leads) as process:
        pid = process.pid

        def is_command() -> bool:
            name = Path(f"/proc/{pid}/comm").read_text()
            return name == "sleep\n" and os.getpgid(pid) == os.getsid(pid) == pid

        wait_until(is_command)
        run(shell, scripts.SIGNAL, signal.SIGTERM.value, pid)
        assert process.wait() == -signal.SIGTERM
    # There is no such process any more.
    run(shell, scripts.SIGNAL, signal.SIGTERM.value, pid)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("no-such-program", scripts.NO_PROGRAM),
        ("./none", scripts.NO_PROGRAM),
        ("etc", scripts.NO_PROGRAM),
        ("/", scripts.NOT_EXECUTABLE),
        ("/etc/passwd", scripts.NOT_EXECUTABLE),
    ],
)
@pytest.mark.parametrize("session", [False, True])
def test_program_that_cannot_be_executed_leaves_nothing(
    shell: tuple[str, ...], folder: Path, program: str, said: bytes, *, session: bool
):
    words = [SETSID, program] if session else [program]
    for script in (scripts.run(session=session, input=False), scripts.detach(session=session)):
        first = [folder] if script != scripts.detach(session=session) else []
        done = run(shell, script, *first, *words, cwd="/")
        assert (done.stdout, done.stderr) == (said, b"")
        assert not folder.exists()


def test_folder_that_is_there_is_not_used(shell: tuple[str, ...], folder: Path):
    folder.symlink_to("/tmp")
    done = run(shell, scripts.run(session=False, input=False), folder, "true")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"exists" in done.stderr


def test_input_in_the_folder_is_read(shell: tuple[str, ...], folder: Path):
    assert run(shell, scripts.MAKE_FOLDER, folder).stdout == b""
    (folder / "0").write_bytes(b"whole")
    run(shell, scripts.run(session=False, input=True), folder, "cat")
    assert (folder / "1").read_bytes() == b"whole"


@pytest.mark.parametrize("doubt", ["", "doubtful"])
def test_end_kills_and_removes(shell: tuple[str, ...], folder: Path, doubt: str):
    script = scripts.run(session=True, input=False)
    words = [*shell, "-c", script, "sh", str(folder), SETSID, "sh", "-c", "sleep 100 & sleep 100"]
    with subprocess.Popen(words) as process:
        wait_until((folder / "1").exists)
        run(shell, scripts.END, folder, process.pid, doubt)
        assert process.wait() == -signal.SIGKILL
    wait_until(lambda: not is_group(process.pid))
    assert run(shell, scripts.END, "", "").returncode == 0
    run(shell, scripts.END, folder, "")
    assert not folder.exists()


def test_end_in_doubt_kills_nothing_that_has_no_folder(shell: tuple[str, ...], folder: Path):
    with subprocess.Popen([SETSID, "sleep", "100"]) as process:
        try:
            done = run(shell, scripts.END, folder, process.pid, "doubtful")
            assert (done.returncode, process.poll()) == (0, None)
        finally:
            process.kill()


def test_detached_command_goes_on(shell: tuple[str, ...]):
    done = run(shell, scripts.detach(session=True), SETSID, "sleep", "100")
    pid = int(done.stdout)
    try:
        wait_until(lambda: is_group(pid))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_probe_finds_setsid_and_the_environment(shell: tuple[str, ...]):
    env = {"PATH": os.environ["PATH"], "A": "1\n2", "B": "x=y", "EMPTY": ""}
    done = run(shell, scripts.PROBE, env=env)
    tools = GuestTools.found(Ended(code=done.returncode, signal=None, output=done.stdout))
    assert tools.shell
    assert tools.setsid.endswith("setsid")
    assert tools.with_variables({"A": "3"}) == (
        f"PATH={env['PATH']}",
        "A=3",
        "B=x=y",
        "EMPTY=",
    )


def test_probe_without_setsid_finds_none(shell: tuple[str, ...], tmp_path: Path):
    (tmp_path / "cat").symlink_to("/bin/cat")
    done = run(shell, scripts.PROBE, env={"PATH": str(tmp_path)})
    tools = GuestTools.found(Ended(code=done.returncode, signal=None, output=done.stdout))
    assert tools.shell
    assert tools.setsid == "" or shell[0].endswith("busybox")  # which has its own


def is_group(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
