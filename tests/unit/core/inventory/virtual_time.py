"""An event loop whose time passes when nobody has anything to do: no test waits for it."""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):
    """Never waits: the time that it would have waited has passed at once."""

    def __init__(self):
        super().__init__()
        self.passed = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("all tasks wait for each other")
        self.passed += max(timeout, 0.0)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs the same history in the same way on any machine."""

    def __init__(self):
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self):
        return self._passing.passed
