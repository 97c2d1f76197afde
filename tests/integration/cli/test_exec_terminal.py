"""proa exec on a terminal, and its bytes, with real containers."""

import hashlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from eventually import wait_until
from guest.media import import_image
from integration.cli.pseudo_terminal import PseudoTerminal
from integration.daemon.conftest import PASSWORD, Daemon
from proa import v1
from requirements import skip_or_fail

pytestmark = pytest.mark.docker

IMAGE = "proa-test/busybox:1"
DETACH = "\x10\x11"  # Ctrl-P Ctrl-Q
Variables = dict[str, str]
Begin = Callable[..., PseudoTerminal]


@pytest.fixture(scope="module")
def engine() -> Any:
    try:
        api = docker.from_env().api
        api.ping()
    except DockerException as error:
        skip_or_fail(f"these tests need a Docker Engine: {error}")
    import_image()
    return api


@pytest.fixture(scope="module")
def web(engine: Any) -> Iterator[str]:
    """The name of a container that runs."""
    name = f"proa-test-{secrets.token_hex(4)}"
    made = engine.create_container(IMAGE, ["sleep", "6000"], name=name, labels={"test": name})
    engine.start(made["Id"])
    yield name
    engine.remove_container(made["Id"], force=True)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("proad"), {})
    daemon.start()
    yield daemon
    daemon.stop()


def login(daemon: Daemon) -> Variables:
    """Return the environment of a user with a token of a daemon."""
    with daemon.client() as client:
        request = v1.CreateTokenRequest(username="ada", password=PASSWORD)
        token = client.auth.CreateToken(request).token
    return {"PROA_TARGET": daemon.address, "PROA_TOKEN": token}


@pytest.fixture(scope="module")
def variables(daemon: Daemon) -> Variables:
    return login(daemon)


@pytest.fixture
def begin(variables: Variables) -> Iterator[Begin]:
    """Runs `proa exec` on a terminal."""
    terminals: list[PseudoTerminal] = []

    def begin(*arguments: str, **settings: Any) -> PseudoTerminal:
        settings = {"variables": variables, **settings}
        terminals.append(PseudoTerminal("exec", *arguments, **settings))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def piped(variables: Variables, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
    """Run `proa exec` with pipes."""
    # Tests that run in the background ignore SIGINT.
    python = ["env", "--default-signal", sys.executable]
    program = [*python, "-c", "from proa.cli import main; main()", "exec", *arguments]
    pipe = subprocess.PIPE
    given = {"stdin": pipe, "stdout": pipe, "stderr": pipe, **settings}
    return subprocess.Popen(program, env=os.environ | variables, **given)


def commands(engine: Any, web: str) -> list[str]:
    """Return the command lines in a container."""
    return [line[-1] for line in engine.top(web, ps_args="-o pid,args")["Processes"]]


def test_shell_has_the_size_of_the_terminal_and_its_keys(begin, web):
    terminal = begin("-it", web, "sh", size=(33, 101))
    terminal.until("# ")
    assert terminal.modes() != terminal.before
    terminal.type("stty size\r")
    terminal.until("33 101")
    terminal.resize(50, 132)
    terminal.until("# ")
    terminal.type("until stty size | grep 132; do sleep 0.1; done\r")
    terminal.until("\r\n50 132\r\n")
    terminal.type("sh -c 'echo a$((20 + 2))b; exec sleep 100'\r")
    terminal.until("a22b")
    terminal.type("\x03")
    terminal.until("# ")
    terminal.type("echo a$((20 + 3))b\r")
    terminal.until("a23b")
    terminal.type("vi /tmp/x\r")
    terminal.until("- /tmp/x")  # its line of state; an escape that more follows is another key
    terminal.type("ihello")
    terminal.until("hello")
    terminal.type("\x1b")
    terminal.until("- /tmp/x")
    terminal.type(":wq\r")
    terminal.until("# ")
    terminal.type("cat /tmp/x; exit 5\r")
    terminal.until("hello")
    assert terminal.end() == 5
    assert terminal.modes() == terminal.before


@pytest.mark.parametrize(
    ("option", "pressed"), [((), DETACH), (("--detach-keys", "a,ctrl-@"), "a\0")]
)
def test_detach_keys_leave_the_command_running(begin, engine, web, option, pressed):
    mark = f"/tmp/{secrets.token_hex(4)}"
    script = f"echo ready; until [ -e {mark} ]; do sleep 0.1; done; echo over > {mark}"
    terminal = begin("-it", *option, web, "sh", "-c", script)
    terminal.until("ready")
    terminal.type(pressed)
    terminal.until("Detached: the command goes on.")
    assert terminal.end() == 0
    assert terminal.modes() == terminal.before
    assert any(mark in line for line in commands(engine, web))
    # It lives, and does what it is there for.
    made = engine.exec_create(web, ["touch", mark])
    engine.exec_start(made["Id"])
    wait_until(lambda: not any(mark in line for line in commands(engine, web)))
    made = engine.exec_create(web, ["cat", mark])
    assert engine.exec_start(made["Id"]) == b"over\n"


def test_first_of_the_detach_keys_alone_reaches_the_command(begin, web):
    script = "stty raw -echo; echo ready; head -c 3 | od -An -tx1"
    terminal = begin("-it", web, "sh", "-c", script)
    terminal.until("ready")
    terminal.type("\x10")
    terminal.type("a\x10")
    terminal.type("b")
    terminal.until("10 61 10")
    assert terminal.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_signal_to_proa_restores_the_terminal_and_ends_the_command(begin, engine, web, number):
    mark = secrets.token_hex(4)
    terminal = begin("-it", web, "sh", "-c", f"echo ready; sleep 6000; : {mark}")
    terminal.until("ready")
    terminal.process.send_signal(number)
    assert terminal.end() == 128 + number
    assert terminal.modes() == terminal.before
    wait_until(lambda: not any(mark in line for line in commands(engine, web)))


def test_daemon_that_goes_away_restores_the_terminal(begin, web, tmp_path):
    own = Daemon(tmp_path, {})
    own.start()
    terminal = begin("-it", web, "sh", "-c", "echo ready; sleep 6000", variables=login(own))
    terminal.until("ready")
    own.stop(signal.SIGKILL)
    terminal.until("Error: ")
    assert terminal.end() == 125
    assert terminal.modes() == terminal.before


def test_tty_without_a_terminal_is_refused(variables, web):
    with piped(variables, "-it", web, "sh") as process:
        _stdout, stderr = process.communicate()
    assert process.returncode == 125
    assert b"the standard input is no terminal" in stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_without_a_terminal_reaches_the_command(variables, web, number):
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.1; done"
    with piped(variables, web, "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.communicate()[0] == b"got\n"
    assert process.returncode == 9


def test_ctrl_c_on_a_terminal_without_tty_ends_the_command(begin, web):
    terminal = begin("-i", web, "sh", "-c", "echo ready; sleep 6000")
    terminal.until("ready")
    terminal.type("\x03")
    assert terminal.end() == 128 + signal.SIGINT


def test_output_that_nobody_reads_any_more_ends_the_command(variables, engine, web):
    mark = secrets.token_hex(4)
    with piped(variables, web, "yes", mark) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{mark}\n".encode()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 128 + signal.SIGPIPE
    wait_until(lambda: not any(mark in line for line in commands(engine, web)))


def test_input_and_output_are_exact(variables, web, tmp_path):
    content = tmp_path / "content"
    block = os.urandom(10**6)
    with content.open("wb") as file:
        for _ in range(100):
            file.write(block)
    expected = hashlib.sha256(content.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    with (
        content.open("rb") as source,
        piped(variables, "-i", web, "--", "sh", "-c", "tee /tmp/out", stdin=source) as process,
    ):
        assert process.stdout is not None
        while data := process.stdout.read(2**20):
            digest.update(data)
    assert process.returncode == 0
    assert digest.hexdigest() == expected
    with piped(variables, web, "--", "sha256sum", "/tmp/out") as process:
        assert process.communicate()[0].split()[0].decode() == expected


def test_stderr_is_apart(variables, web):
    process = piped(variables, web, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert process.communicate() == (b"out\n", b"err\n")
    assert process.returncode == 3


def test_detached_command_runs_on(variables, engine, web):
    mark = secrets.token_hex(4)
    process = piped(variables, "-d", web, "sh", "-c", f"sleep 6000; : {mark}")
    assert process.communicate() == (b"", b"")
    assert process.returncode == 0
    assert any(mark in line for line in commands(engine, web))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["{web}", "proa-test-none"], 127, "Error: CMD: "),
        (["{web}", "/bin/proa-test-none"], 127, "Error: CMD: "),
        (["{web}", "/etc"], 126, "Error: CMD: "),
        (["--workdir", "/none", "{web}", "true"], 125, "Error: --workdir: "),
        (["--user", "none", "{web}", "true"], 125, "Error: --user: "),
        (["proa-test-none", "true"], 125, "Error: no resource 'proa-test-none'"),
        (["--none", "{web}", "true"], 125, "No such option"),
        (["{web}"], 125, "Missing argument"),
        (["{web}", "ls", "--none"], 1, "unrecognized option"),
    ],
)
def test_failure_has_the_exit_code_for_it(variables, web, arguments, code, told):
    process = piped(variables, *(each.format(web=web) for each in arguments))
    _stdout, stderr = process.communicate()
    assert process.returncode == code
    assert told in stderr.decode()
