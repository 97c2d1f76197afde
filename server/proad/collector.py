"""Tuning of the cyclic garbage collector for a large permanent heap."""

import gc
import time
from typing import Any

# Net allocations before a collection of the youngest generation, and collections of each
# generation before one of the next older. A full collection then comes after 15,000 new objects
# that survived, few enough to traverse while calls wait.
_THRESHOLDS = (1_000, 5, 3)


class Collector:
    """Freezes the survivors of a long full collection, so that no later one traverses them.

    The survivors are modules, code and the cache of resources, which are many. Reference counts
    still free them; only a reference cycle among them that dies later leaks, which is why a
    short collection freezes nothing.

    Args:
        freeze_after: duration of a full collection, in seconds of processor time, above which
            its survivors are frozen.
    """

    def __init__(self, *, freeze_after: float = 0.002) -> None:
        self._freeze_after = freeze_after
        self._began = 0.0

    def tame(self) -> None:
        """Collect now, freeze the survivors, and set the thresholds."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.callbacks.append(self._on_phase)

    def _on_phase(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        elif info["generation"] == 2 and time.thread_time() - self._began > self._freeze_after:  # noqa: PLR2004 - the oldest
            gc.freeze()
