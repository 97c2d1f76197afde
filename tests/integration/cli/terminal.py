"""A tmux terminal, and its screen after a command."""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from eventually import wait_until
from requirements import skip_or_fail

HEIGHT = 40
# The command prints ages, on whose seconds a golden file must not depend.
_LATER = """
import datetime, proa.cli.text

class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(hours=2, minutes=20)

proa.cli.text.datetime = Later
from proa.cli import main
main()
"""
# A process that outlives the command, keeps its screen and ignores its Ctrl-C.
_AROUND = 'trap : INT; "$@"; echo $? >"$0.part"; mv "$0.part" "$0"; exec sleep 600'


class Terminal:
    """A terminal with one command in it.

    Args:
        folder: where tmux has its socket.
        width: columns.
        arguments: of `proa`.
        variables: its environment, beside ours.
    """

    def __init__(self, folder: Path, width: int, *arguments: str | Path, **variables: str) -> None:
        if shutil.which("tmux") is None:
            skip_or_fail("tmux is not installed; deploy/test-services.sh does it")
        config = folder / "tmux.conf"
        config.write_text("set -g status off\n")
        own = folder / secrets.token_hex(4)
        self._tmux = ["tmux", "-u", "-S", str(own), "-f", str(config)]
        self._ended = own.with_suffix(".code")
        environment = {
            name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}
        }
        size = ["-x", str(width), "-y", str(HEIGHT)]
        around = ["sh", "-c", _AROUND, str(self._ended)]
        subprocess.run(
            [
                *self._tmux,
                "new-session",
                "-d",
                *size,
                *around,
                sys.executable,
                "-c",
                _LATER,
                *arguments,
            ],
            env=environment | {"LC_ALL": "C.UTF-8"} | variables,
            check=True,
        )

    def _ask(self, *command: str) -> str:
        done = subprocess.run([*self._tmux, *command], check=True, capture_output=True)
        return done.stdout.decode()

    def lines(self, *options: str) -> list[str]:
        """Return the lines of the screen."""
        screen = self._ask("capture-pane", "-p", *options)
        lines = [line.rstrip() for line in screen.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def until(self, text: str) -> None:
        """Wait until a text is on the screen."""

        def shown() -> bool:
            ended = self._ended.exists()
            lines = self.lines()
            assert not ended or any(text in line for line in lines), lines
            return any(text in line for line in lines)

        wait_until(shown, self.lines, every=0.02)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._ask("send-keys", "C-c")

    def end(self) -> tuple[int, list[str]]:
        """Wait for the command's end, and return its exit code and all lines that it printed."""
        wait_until(self._ended.exists, self.lines, within=100)
        # From the first line of the history on: what is longer than the screen has left it.
        return int(self._ended.read_text()), self.lines("-S", "-")

    def close(self) -> None:
        """End tmux and the command in it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
