"""Each changing call of a daemon that is killed at each point; see `tests/kills`.

`make soak ARGS=kill-points` tries every point of every call many times.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import libvirt
import pytest

from guest.media import import_image
from kills.cases import CASES, Case
from kills.daemons import Daemons
from kills.killer import ENGINE_CALL, POINTS, Order
from kills.trial import trial
from kills.truth import Engines, sweep
from requirements import skip_or_fail

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]
URL = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
URI = os.environ.get("PROA_LIBVIRT_URI", "qemu:///system")
# How many points of each call are tried here.
TRIED = 3


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    """Return this host's engines, with a storage pool that only these tests use."""
    client = docker.APIClient(URL, timeout=30)
    try:
        client.ping()
        connection = libvirt.open(URI)
    except (docker.errors.DockerException, OSError, libvirt.libvirtError) as error:
        skip_or_fail(f"no engines: {error}")
    import_image(URL)
    name = f"proa-test-kills-{secrets.token_hex(4)}"
    folder = Path("/var/tmp") / name
    folder.mkdir(mode=0o755)
    pool = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>"
    )
    engines = Engines(client, connection, folder)
    yield engines
    sweep(engines, "proa-test-kills-")
    pool.destroy()
    folder.rmdir()
    connection.close()
    client.close()


@pytest.fixture(scope="module")
def daemons(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    with Daemons(
        tmp_path_factory.mktemp("daemons"),
        docker_url=URL,
        libvirt_uri=URI,
        pool=engines.pool_path.name,
        pool_path=engines.pool_path,
    ) as daemons:
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
    prefix = f"proa-test-kills-{secrets.token_hex(4)}"
    try:
        trial(daemons, engines, case, order, prefix)
    finally:
        sweep(engines, prefix)
