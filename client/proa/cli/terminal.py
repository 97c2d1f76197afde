"""The terminal that a command of ours runs on, while it is that of a command elsewhere."""

import os
import re
import signal
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class SignalledError(Exception):
    """A signal is to end this process.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def heeded(*numbers: int) -> list[int]:
    """Return those signals that this process was not started to ignore, as by nohup."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Pass the keys of a terminal on as they are typed, while the block runs.

    However the block ends, the terminal is as before: signals that would end this process raise
    `SignalledError` meanwhile.
    """
    before = termios.tcgetattr(descriptor)

    def end(number: int, _frame: FrameType | None) -> None:
        raise SignalledError(number)

    handlers = {number: signal.signal(number, end) for number in heeded(*_ENDING)}
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        # A signal that comes now would leave the terminal as it is.
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
        # Not TCSADRAIN: a terminal that was stopped by Ctrl-S takes no output.
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def size_of(*descriptors: int) -> tuple[int, int] | None:
    """Return rows and columns of the first of some descriptors that is a terminal; None: none is."""
    for descriptor in descriptors:
        try:
            size = os.get_terminal_size(descriptor)
        except OSError:
            continue
        if size.lines and size.columns:
            return size.lines, size.columns
    return None


def keys(text: str) -> bytes:
    """Parse a sequence of keys, as docker has it: "ctrl-p,ctrl-q", or "a,ctrl-@"; empty: none."""
    found = bytearray()
    for key in text.split(",") if text else ():
        match = re.fullmatch(r"ctrl-([a-z@\[\\\]^_])|([!-~])", key)
        if match is None:
            raise typer.BadParameter(
                f"{key!r} is no key; write keys like a or ctrl-a, with commas between them"
            )
        found.append(ord(match[1].upper()) & 0x1F if match[1] else ord(match[2]))
    return bytes(found)


class DetachKeys:
    """Finds a sequence of keys in what is typed.

    Args:
        sequence: the keys; empty: none are looked for.
    """

    def __init__(self, sequence: Sequence[int]) -> None:
        self._sequence = bytes(sequence)
        self._typed = b""

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Return what of the typed bytes is to be passed on, and whether the sequence was there.

        The beginning of the sequence is held back until the next key shows what it is.
        """
        if not self._sequence:
            return data, False
        data = self._typed + data
        self._typed = b""
        before, found, _after = data.partition(self._sequence)
        if found:
            return before, True
        for length in range(min(len(data), len(self._sequence) - 1), 0, -1):
            if data.endswith(self._sequence[:length]):
                self._typed = data[-length:]
                return data[:-length], False
        return data, False
