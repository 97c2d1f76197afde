"""Processor time of the event loop's thread per callback."""

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Longest:
    """The callback that took the most processor time of the loop's thread."""

    seconds: float = 0.0
    what: str = ""

    def note(self, seconds, handle):
        if seconds > self.seconds:
            self.seconds, self.what = seconds, repr(handle)


@contextmanager
def longest_callback(monkeypatch):
    """Measure every callback of asyncio, the collector included, while this is entered."""
    longest = Longest()
    run = asyncio.Handle._run

    def measured(handle):
        began = time.thread_time()
        run(handle)
        longest.note(time.thread_time() - began, handle)

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.Handle, "_run", measured)
        yield longest
