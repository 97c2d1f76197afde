"""proa exec -it as its user sees it: a session in tmux whose screens are those of a recorded one.

PROA_UPDATE_GOLDEN=1 records it anew.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from eventually import wait_until
from guest.media import import_image
from integration.cli.test_exec_terminal import IMAGE, Variables, login
from integration.daemon.conftest import BIN, Daemon
from requirements import skip_or_fail

pytestmark = pytest.mark.docker

RECORDED = Path(__file__).parents[2] / "golden/cli/exec-session.txt"
RULE = "=" * 8
SIZE, LARGER = (60, 14), (90, 20)  # columns and rows
SLEEP = "sh -c 'echo asleep; exec sleep 1000'"


class Tmux:
    """A shell in a window of tmux, and the screens that were recorded of it."""

    def __init__(self, folder: Path, variables: Variables) -> None:
        if shutil.which("tmux") is None:
            skip_or_fail("tmux is not installed; deploy/test-services.sh does it")
        (folder / "tmux.conf").write_text(
            "set -g status off\nset -g history-limit 0\nset -g default-terminal screen\n"
        )
        (folder / "profile").write_text("PS1='host$ '\n")
        self._tmux = ["tmux", "-u", "-S", str(folder / "s"), "-f", str(folder / "tmux.conf")]
        self._records = "PROA_UPDATE_GOLDEN" in os.environ
        self._recorded = [] if self._records else RECORDED.read_text().split(f"{RULE} ")[1:]
        self.screens: list[str] = []
        own = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "ENV": str(folder / "profile"),
            "LC_ALL": "C.UTF-8",
        }
        columns, rows = map(str, SIZE)
        subprocess.run(
            [*self._tmux, "new-session", "-d", "-x", columns, "-y", rows, "-c", folder, "sh"],
            env=os.environ | variables | own,
            check=True,
        )

    def _ask(self, *command: str) -> str:
        done = subprocess.run([*self._tmux, *command], check=True, capture_output=True, text=True)
        return done.stdout

    def screen(self) -> str:
        lines = (line.rstrip() for line in self._ask("capture-pane", "-p").splitlines())
        return "\n".join(lines).rstrip("\n")

    def press(self, *keys: str) -> None:
        self._ask("send-keys", *keys)

    def enter(self, line: str) -> None:
        """Type a line, as somebody who looks at what is typed.

        While BusyBox's line editor asks the terminal where its cursor is, it loses keys; under
        `docker exec`, too.
        """
        for _attempt in range(5):
            self.press("-l", line)
            with suppress(TimeoutError):
                wait_until(lambda: self.screen().replace("\n", "").endswith(line), within=4)
                break
            self.press("C-u")
        self.press("Enter")

    def resize(self, size: tuple[int, int]) -> None:
        self._ask("resize-window", "-x", str(size[0]), "-y", str(size[1]))

    def until(self, end: str) -> None:
        """Wait until the last lines of the screen are these: not what is being typed, after a prompt."""
        wait_until(lambda: f"\n{self.screen()}".endswith(f"\n{end}"), self.screen)

    def until_only(self, prompt: str) -> None:
        """Wait until nothing else is on the screen."""
        wait_until(lambda: self.screen() == prompt, self.screen)

    def show(self, what: str, end: str) -> None:
        """Wait until the screen, which ends so, is the one that was recorded."""
        self.until(end)
        if not self._records:
            wanted = self._recorded[len(self.screens)]
            wait_until(lambda: _entry(what, self.screen()) == wanted, self.screen, within=20)
        self.screens.append(_entry(what, self.screen()))

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


def _entry(what: str, screen: str) -> str:
    return f"{what}\n{screen}\n"


@pytest.fixture
def web() -> Iterator[Any]:
    """A container that runs."""
    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException as error:
        skip_or_fail(f"these tests need a Docker Engine: {error}")
    import_image()
    name = f"proa-test-{secrets.token_hex(4)}"
    made = engine.containers.run(IMAGE, ["sleep", "6000"], name=name, detach=True)
    yield made
    made.remove(force=True)


@pytest.fixture
def tmux(tmp_path: Path, web: Any) -> Iterator[Tmux]:
    (tmp_path / "proad").mkdir()
    daemon = Daemon(tmp_path / "proad", {})
    daemon.start()
    tmux = Tmux(tmp_path, login(daemon) | {"BOX": web.name})
    yield tmux
    tmux.close()
    daemon.stop()


def test_session_in_tmux_is_the_one_that_was_recorded(tmux: Tmux, web: Any):
    tmux.until("host$")
    tmux.enter("stty -g >before; clear")
    tmux.until_only("host$")
    tmux.enter("proa exec -it $BOX sh")
    tmux.until("/ #")
    tmux.enter("clear; stty size")  # without the version that its greeting tells
    tmux.show("a shell inside has the size of the window", f"{SIZE[1]} {SIZE[0]}\n/ #")

    # BusyBox's line editor, which may lose keys, does not run then.
    tmux.enter("clear; echo now; until stty size | grep ' 90$'; do sleep 0.1; done")
    tmux.until("now")
    tmux.resize(LARGER)
    tmux.show("the window was made larger", f"{LARGER[1]} {LARGER[0]}\n/ #")

    tmux.enter("vi /tmp/notes")
    tmux.until("- /tmp/notes 1/1 100%")
    tmux.press("i")
    tmux.press("-l", "written in vi")
    tmux.press("Enter")
    tmux.press("-l", "and a second line")
    tmux.show("vi takes the keys", "I /tmp/notes [Modified] 2/2 100%")
    tmux.press("Escape")
    tmux.until("- /tmp/notes [Modified] 2/2 100%")
    tmux.enter(":wq")
    tmux.until("/ #")
    tmux.enter("clear; cat /tmp/notes")
    tmux.until("and a second line\n/ #")

    tmux.enter(SLEEP)
    tmux.until("asleep")
    tmux.press("C-c")
    tmux.until("/ #")
    tmux.enter("echo $?")
    tmux.show("vi has saved the file; Ctrl-C has ended sleep, not the shell", "130\n/ #")

    tmux.enter("clear")
    tmux.until_only("/ #")
    tmux.enter("exit 7")
    tmux.until("host$")
    unchanged = "echo $?; stty -g | cmp before && echo the terminal is as before"
    tmux.enter(unchanged)
    tmux.show("the shell has ended with its exit code", "the terminal is as before\nhost$")

    tmux.enter("clear")
    tmux.until_only("host$")
    tmux.enter(f"proa exec -it $BOX {SLEEP}")
    tmux.until("asleep")
    tmux.press("C-p")
    tmux.press("C-q")
    tmux.until("host$")
    tmux.enter(unchanged)
    tmux.show("Ctrl-P Ctrl-Q leaves the command running", "the terminal is as before\nhost$")
    assert ["sleep", "1000"] in [
        line[-1].split() for line in web.top(ps_args="-o pid,args")["Processes"]
    ]

    if "PROA_UPDATE_GOLDEN" in os.environ:
        RECORDED.write_text("".join(f"{RULE} {screen}" for screen in tmux.screens))
