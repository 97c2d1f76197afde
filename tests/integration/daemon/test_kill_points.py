"""Each changing call of a daemon that is killed at each point; see `tests/kills`.

`make soak ARGS=kill-points` tries every point of every call many times.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import docker
import libvirt
import pytest

from kills.cases import CASES, Case
from kills.daemons import Daemons
from kills.host import daemons_over, host_engines, new_prefix
from kills.killer import ENGINE_CALL, POINTS, Order
from kills.trial import trial
from kills.truth import Engines, sweep
from requirements import skip_or_fail

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]
# How many points of each call are tried here.
TRIED = 3


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    with ExitStack() as stack:
        try:
            engines = stack.enter_context(host_engines())
        except (docker.errors.DockerException, OSError, libvirt.libvirtError) as error:
            skip_or_fail(f"no engines: {error}")
        yield engines


@pytest.fixture(scope="module")
def daemons(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    with daemons_over(engines, tmp_path_factory.mktemp("daemons")) as daemons:
        daemons.start()
        yield daemons


def _orders(number: int, case: Case) -> Iterator[Order]:
    """Return some points of a case; over all cases, each point comes up equally often."""
    for each in range(TRIED):
        turn = number * TRIED + each
        delay = (0.0, 0.002, 0.02)[turn % 3] if POINTS[turn % len(POINTS)] == ENGINE_CALL else 0.0
        yield Order(POINTS[turn % len(POINTS)], 1 + turn % case.calls, delay)


TRIALS = [(case, order) for number, case in enumerate(CASES) for order in _orders(number, case)]


@pytest.mark.parametrize(
    ("case", "order"), TRIALS, ids=[f"{case.name}-{order.point}" for case, order in TRIALS]
)
def test_call_killed_has_its_effect_once_or_not(
    daemons: Daemons, engines: Engines, case: Case, order: Order
):
    if not daemons.alive:
        daemons.start()
    prefix = new_prefix()
    try:
        trial(daemons, engines, case, order, prefix)
    finally:
        sweep(engines, prefix)
