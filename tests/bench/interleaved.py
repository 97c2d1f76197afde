"""Timing of several calls, interleaved: other load on the machine affects all of them alike."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

Act = Callable[[], object]

_WARM_UP = 5


def time_interleaved(
    acts: Mapping[str, Act], rounds: int, *, pause: float = 0
) -> dict[str, list[float]]:
    """Time each call `rounds` times, one after the other, each round in another order.

    Args:
        acts: the calls, by name.
        rounds: how often each is timed, after a few rounds that do not count.
        pause: seconds before each call, in which late work of the one before can end.
    """
    names = list(acts)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for number in range(-_WARM_UP, rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                time.sleep(pause)
                begin = time.perf_counter()
                acts[name]()
                taken = time.perf_counter() - begin
                if number >= 0:
                    times[name].append(taken)
    finally:
        gc.enable()
    return times


def p50(seconds: list[float]) -> float:
    """Return the median in milliseconds."""
    return statistics.median(seconds) * 1000


def p95(seconds: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.95))] * 1000
