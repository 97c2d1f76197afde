"""The creates of this process that may still change something on the engine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from proad.errors import EngineTimedOutError
from proad.model import Footprint


class CreatesUnderWay:
    """Creates that are under way, or being undone, though their callers may have gone.

    Args:
        engine: name of the driver.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._footprints: set[Footprint] = set()

    def add(self, footprint: Footprint) -> None:
        """Add a create."""
        with self._lock:
            self._footprints.add(footprint)

    def discard(self, footprint: Footprint) -> None:
        """Remove a create that will change nothing any more."""
        with self._lock:
            self._footprints.discard(footprint)

    @contextmanager
    def during(self, footprint: Footprint) -> Iterator[None]:
        """Have a create under way while the block runs."""
        self.add(footprint)
        try:
            yield
        finally:
            self.discard(footprint)

    def check(self, footprint: Footprint) -> None:
        """Check that a create is not under way.

        Raises:
            EngineTimedOutError: what becomes of the create is not known yet.
        """
        with self._lock:
            if footprint in self._footprints:
                raise EngineTimedOutError(self._engine)
