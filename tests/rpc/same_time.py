"""Whether two calls can be told apart by a clock."""

import random
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

from rpc.every_rpc import outcome

SAMPLES = 300
ROUNDS = 15
_LEAST = 0.9
_MOST = 1.1


async def check_same_time(
    user: Any,
    method: str,
    hidden: Sequence[dict[str, Any]],
    missing: Sequence[dict[str, Any]],
    *,
    samples: int = SAMPLES,
) -> float:
    """Check that calls on what is hidden and on what is missing differ by less than 10 % at p50.

    They are interleaved in changing order, so that what else the machine does hits both alike. On a
    busy machine a median of few calls is off by chance: rounds are added until that of all calls so
    far is within the bound, where it gets to if the calls take the same time, and to no other place
    if they do not.

    Returns:
        The ratio of the medians.
    """
    ratios = []
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for number in range(samples):
            which = number % len(hidden)
            pair = [(0, hidden[which]), (1, missing[which])]
            random.shuffle(pair)
            for kind, fields in pair:
                begun = perf_counter()
                await outcome(user, method, fields)
                times[kind].append(perf_counter() - begun)
        ratios.append(median(times[0]) / median(times[1]))
        if _LEAST < ratios[-1] < _MOST:
            return ratios[-1]
    raise AssertionError(f"{method}: the ratios of the medians were {ratios}")
