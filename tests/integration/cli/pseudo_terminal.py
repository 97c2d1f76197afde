"""A pseudo-terminal with `proa` on it, whose keys and size a test has."""

import fcntl
import os
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from contextlib import suppress

from eventually import wait_until


class PseudoTerminal:
    """A terminal with one command on it, as its controlling terminal.

    Args:
        arguments: of `proa`.
        variables: its environment, beside ours.
        size: rows and columns.

    Attributes:
        before: the modes of the terminal before the command.
    """

    def __init__(
        self, *arguments: str, variables: Mapping[str, str], size: tuple[int, int] = (24, 80)
    ) -> None:
        self._ours, self._theirs = os.openpty()
        self.resize(*size)
        self.before = self.modes()
        self._said = b""
        self._read = 0
        program = "from proa.cli import main; main()"
        self.process = subprocess.Popen(
            [
                "env",
                "--default-signal",
                "setsid",
                "--ctty",
                sys.executable,
                "-c",
                program,
                *arguments,
            ],
            env=os.environ | variables,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def modes(self) -> object:
        """Return the modes of the terminal."""
        return termios.tcgetattr(self._theirs)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def until(self, text: str) -> None:
        """Wait until a text was written behind the one of the last wait."""
        wanted = text.encode()
        wait_until(lambda: wanted in self._said[self._read :], self._unread, every=0.02)
        self._read = self._said.index(wanted, self._read) + len(wanted)

    def end(self) -> int:
        """Wait for the command's end, and return its exit code."""
        return self.process.wait(timeout=60)

    def close(self) -> None:
        """End the command, if it runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._theirs)
        os.close(self._ours)

    def _unread(self) -> bytes:
        return self._said[self._read :]

    def _listen(self) -> None:
        with suppress(OSError):
            while data := os.read(self._ours, 65536):
                self._said += data
