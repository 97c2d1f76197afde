"""An event loop with virtual time, which advances when the loop is idle."""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):
    """A selector that advances the virtual time instead of waiting."""

    def __init__(self):
        super().__init__()
        self.passed = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("all tasks wait for each other")
        self.passed += max(timeout, 0.0)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that runs a history in the same way on any machine."""

    def __init__(self):
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self):
        return self._passing.passed
