"""Every changing call, killed many times at every point; see `tests/kills`."""

import random
import time
from collections import Counter
from collections.abc import Sequence

from kills.cases import Case
from kills.host import daemons_over, host_engines, new_prefix
from kills.killer import ENGINE_ANSWER, ENGINE_CALL, POINTS, Order
from kills.trial import trial
from kills.truth import sweep
from soak.setting import folder

TIMES = 20


def kill_points(times: int, cases: Sequence[Case], seed: int) -> str:
    """Each call takes effect once or not at all, wherever its daemon dies."""
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    begin = time.monotonic()
    with host_engines() as engines, folder() as home, daemons_over(engines, home) as daemons:
        daemons.start()
        for case in cases:
            for point in POINTS * times:
                engine = point in {ENGINE_CALL, ENGINE_ANSWER}
                number = chance.randint(1, case.calls) if engine else 1
                order = Order(point, number, chance.random() * 0.03)
                prefix = new_prefix()
                try:
                    outcome = trial(daemons, engines, case, order, prefix)
                except Exception as error:
                    raise AssertionError(f"{case.name} at {order}") from error
                finally:
                    sweep(engines, prefix)
                outcomes[f"{point}: {outcome}"] += 1
            seconds = time.monotonic() - begin
            print(f"kill-points: {case.name} done at {seconds:.0f} s", flush=True)  # noqa: T201 - its output
        killings = daemons.killings
    return (
        f"{killings} killings of {len(cases)} calls at {len(POINTS)} points, {times} times each, "
        f"in {time.monotonic() - begin:.0f} s: {dict(outcomes.most_common())}"
    )
