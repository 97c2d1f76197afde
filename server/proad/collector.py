"""The cyclic garbage collector, kept from looking through what stays."""

import gc
import time
from typing import Any

# Net allocations until the youngest generation is collected; how many times one is
# collected until the next older one is. A full collection then comes after 15,000 new
# objects that stayed, which is few enough to look through while calls wait.
_THRESHOLDS = (1_000, 5, 3)

# Seconds that a full collection may take and be left to look at the same again.
_WORTH_FREEZING = 0.002


class Collector:
    """Freezes what survives a long full collection: no later one looks at it again.

    What stays is modules, code and the cache of resources, and it is large. It is freed
    as ever when nothing refers to it; only a reference cycle that is among it and dies
    later stays, which is why a short collection freezes nothing.
    """

    def __init__(self) -> None:
        self._began = 0.0

    def tame(self) -> None:
        """Collect now, freeze what is left, and go on so."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.callbacks.append(self._notice)

    def _notice(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        elif info["generation"] == 2 and time.thread_time() - self._began > _WORTH_FREEZING:  # noqa: PLR2004 - the oldest
            gc.freeze()
