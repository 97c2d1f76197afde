"""What is passed on to a command or a console elsewhere: input, signals, sizes of the terminal."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from types import FrameType
from typing import Any

from proa.attachment import Attachment
from proa.cli.terminal import DetachKeys, heeded, size_of
from proa.process import Process

_READ = 64 * 2**10


def feed(
    process: Process | Attachment,
    stdin: int,
    detach_keys: DetachKeys,
    at_end: Callable[[], object],
) -> None:
    """Pass on what comes on the standard input, until the input ends, or who reads it.

    Args:
        process: who reads it.
        stdin: descriptor of the standard input.
        detach_keys: the keys that detach.
        at_end: called at the end of the input.
    """
    is_detached = False
    # Not through `sys.stdin`, whose lock this thread would hold when the process ends.
    with suppress(BrokenPipeError):
        while data := _read(stdin):
            typed, found = detach_keys.take(data)
            if typed:
                process.write(typed)
            if found and is_detached:
                process.close()  # the daemon does not answer
            elif found:
                process.detach()
                is_detached = True
        at_end()


def _read(stdin: int) -> bytes:
    try:
        return os.read(stdin, _READ)
    except OSError:
        return b""  # a terminal that was hung up, or belongs to a job in the foreground


def start_thread(target: Any, *arguments: Any) -> None:
    """Run something on a thread that keeps nobody waiting."""
    threading.Thread(target=target, args=arguments, name="proa-exec", daemon=True).start()


@contextmanager
def forwarded(
    process: Process | Attachment,
    *,
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
    resizes: bool,
) -> Iterator[None]:
    """Pass on signals to a command, and new sizes of the terminal, while the block runs."""
    # A handler may interrupt what holds a lock; another thread sends what it notes.
    noted: SimpleQueue[int | None] = SimpleQueue()

    def note(number: int, _frame: FrameType | None) -> None:
        noted.put(number)

    def send() -> None:
        with suppress(BrokenPipeError):
            while (number := noted.get()) is not None:
                if number != signal.SIGWINCH:
                    process.signal(number)
                elif size := size_of(1, 0):
                    process.resize(*size)

    wanted = [*heeded(*signals)] if process.can_signal else []
    wanted += [signal.SIGWINCH] if resizes else []
    before = {number: signal.signal(number, note) for number in wanted}
    start_thread(send)
    if resizes:
        noted.put(signal.SIGWINCH)  # it may have changed since the start
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        noted.put(None)
