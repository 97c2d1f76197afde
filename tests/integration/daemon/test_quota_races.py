"""Racing creates against a quota, with the daemon killed amid them; see `soak.quota`.

`make soak ARGS=quota` goes on for 10,000 creates, on SQLite and on PostgreSQL.
"""

from collections.abc import Iterator

import docker
import libvirt
import pytest

from kills.host import host_engines
from kills.truth import Engines
from requirements import skip_or_fail
from soak.quota import Plan, race
from soak.setting import folder

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]
PLAN = Plan(creates=150, in_a_round=50, killed_rounds=1, resources=10, running=2)


@pytest.fixture
def engines() -> Iterator[Engines]:
    try:
        with host_engines() as engines:
            yield engines
    except (docker.errors.DockerException, OSError, libvirt.libvirtError) as error:
        skip_or_fail(f"no engines: {error}")


def test_racing_creates_never_exceed_the_quota_and_none_is_lost_by_kills(engines: Engines):
    with folder() as home:
        race(engines, home, PLAN, seed=1)
