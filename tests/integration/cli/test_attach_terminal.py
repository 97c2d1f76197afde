"""proa attach and proa console on a terminal, with real containers."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from eventually import wait_until
from guest.media import import_image
from integration.cli.pseudo_terminal import PseudoTerminal
from integration.cli.test_exec_terminal import DETACH, IMAGE, Variables, login
from integration.daemon.conftest import Daemon
from requirements import skip_or_fail

pytestmark = pytest.mark.docker


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
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Variables]:
    daemon = Daemon(tmp_path_factory.mktemp("proad"), {})
    daemon.start()
    yield login(daemon)
    daemon.stop()


@pytest.fixture
def make(engine: Any) -> Iterator[Any]:
    """Starts containers; returns their names."""
    made: list[str] = []

    def start(*command: str, **how: Any) -> str:
        name = f"proa-test-{secrets.token_hex(4)}"
        made.append(name)
        engine.create_container(IMAGE, list(command), name=name, **how)
        engine.start(name)
        return name

    yield start
    for name in made:
        engine.remove_container(name, force=True)


@pytest.fixture
def begin(variables: Variables) -> Iterator[Any]:
    """Runs `proa` on a terminal."""
    terminals: list[PseudoTerminal] = []

    def begin(*arguments: str, **settings: Any) -> PseudoTerminal:
        terminals.append(PseudoTerminal(*arguments, variables=variables, **settings))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def runs(engine: Any, name: str) -> bool:
    return bool(engine.inspect_container(name)["State"]["Running"])


def test_shell_has_the_size_of_the_terminal_and_goes_on_after_its_detach_keys(begin, engine, make):
    name = make("sh", tty=True, stdin_open=True)
    terminal = begin("attach", name, size=(33, 101))
    terminal.until("ctrl-p,ctrl-q detaches.")
    terminal.until("# ")
    terminal.type("KEPT=yes; stty size\r")
    terminal.until("33 101\r\n")
    terminal.resize(50, 132)
    terminal.type("until stty size | grep 132; do sleep 0.1; done\r")
    terminal.until("\r\n50 132\r\n")
    terminal.until("# ")
    terminal.type("sh -c 'echo a$((20 + 2))b; exec sleep 100'\r")
    terminal.until("a22b")
    terminal.type("\x03")
    terminal.until("# ")
    terminal.type(DETACH)
    terminal.until("Detached: it goes on.")
    assert terminal.end() == 0
    assert terminal.modes() == terminal.before
    assert runs(engine, name)
    again = begin("console", name)
    again.until("# ")  # drawn anew, for the size of the terminal
    again.type("echo it is $KEPT; exit 5\r")
    again.until("it is yes")
    assert again.end() == 5


def test_attach_by_force_ends_the_other_one(begin, make):
    name = make("sh", tty=True, stdin_open=True)
    first = begin("attach", "--exclusive", name)
    first.until("# ")
    refused = begin("attach", name)
    refused.until("Hint: --force ends what others have attached")
    assert refused.end() == 125
    second = begin("attach", "--force", name)
    first.until("CONSOLE_TAKEN")
    assert first.end() == 125
    assert first.modes() == first.before
    second.until("# ")


def piped(variables: Variables, *arguments: str) -> subprocess.Popen[bytes]:
    """Run `proa attach` with pipes."""
    # Tests that run in the background ignore SIGINT.
    python = ["env", "--default-signal", sys.executable]
    program = [*python, "-c", "from proa.cli import main; main()", "attach", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        program, env=os.environ | variables, stdin=pipe, stdout=pipe, stderr=pipe
    )


def test_pipe_passes_input_on_and_outputs_stay_apart(variables, make):
    name = make("sh", "-c", "read x; echo out; echo err >&2; exit 3", stdin_open=True)
    with piped(variables, name) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"go\n")
        process.stdin.flush()
        assert process.stdout.read() == b"out\n"
        assert process.stderr.read() == b"err\n"
        assert process.wait(timeout=60) == 3


def test_input_that_nothing_takes_is_told_of(variables, make):
    name = make("sh", "-c", "until [ -e /go ]; do sleep 0.1; done; echo out")
    with piped(variables, name) as process:
        assert process.stderr
        assert b"takes no input" in process.stderr.readline()
        docker.from_env().containers.get(name).exec_run(["touch", "/go"])
        assert process.communicate(b"lost\n", timeout=60)[0] == b"out\n"
        assert process.returncode == 0


def test_end_of_the_input_detaches(variables, engine, make):
    name = make("cat", stdin_open=True, detach=True)
    with piped(variables, name) as process:
        process.communicate(b"all of it\n", timeout=60)
        assert process.returncode == 0
    wait_until(lambda: bool(engine.logs(name) == b"all of it\n"))
    assert runs(engine, name)


@pytest.mark.parametrize(("option", "code"), [((), 143), (("--no-sig-proxy",), None)])
def test_signals_go_to_the_main_process_unless_they_are_not_to(
    variables, engine, make, option, code
):
    script = "trap 'exit 143' TERM; while :; do echo on; sleep 0.1; done"
    name = make("sh", "-c", script)
    with piped(variables, *option, "--no-stdin", name) as process:
        assert process.stdout
        assert process.stdout.readline() == b"on\n"  # by now it heeds signals
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert code in {None, process.returncode}
    if code is None:
        assert runs(engine, name)
    else:
        wait_until(lambda: not runs(engine, name))
