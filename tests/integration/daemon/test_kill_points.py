"""Each changing call of a daemon that is killed at each point; see `tests/kills`.

`make soak ARGS=kill-points` tries every point of every call many times.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import libvirt
import pytest

from kills.cases import CASES, SECRET, WITH_SECRET, Case
from kills.daemons import Daemons
from kills.host import daemons_over, host_engines, new_prefix
from kills.killer import ENGINE_ANSWER, ENGINE_CALL, POINTS, Order
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


@pytest.mark.parametrize(
    "order",
    [
        Order(point, call)
        for point in POINTS
        for call in range(
            1, 1 + (WITH_SECRET.calls if point in {ENGINE_CALL, ENGINE_ANSWER} else 1)
        )
    ],
    ids=lambda order: f"{order.point}-{order.call}",
)
def test_create_with_a_secret_killed_is_done_with_it_or_undone_and_keeps_it_nowhere(
    daemons: Daemons, engines: Engines, order: Order
):
    if not daemons.alive:
        daemons.start()
    prefix = new_prefix()
    try:
        outcome = trial(daemons, engines, WITH_SECRET, order, prefix)
        # Made by the call, or by the call that was made anew.
        made = engines.docker.inspect_container(prefix)
        assert f"PASSWORD={SECRET}" in made["Config"]["Env"]
        assert not outcome.code or outcome.effect == "none", outcome
        assert SECRET not in str(made["Config"]["Labels"])
        assert _files_with(daemons.home, SECRET.encode()) == []
    finally:
        sweep(engines, prefix)


def _files_with(folder: Path, text: bytes) -> list[Path]:
    """Return the files of the daemons that have a text: state, database, audit log, log."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "proa.db" for path in files)
    return [path for path in files if text in path.read_bytes()]
