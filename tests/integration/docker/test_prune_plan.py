"""A prune on the real engine removes what its plan said, and frees as much."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from integration.docker.engine_socket import engine_socket
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proad.auth.keys import KeyRing
from proad.config import Settings
from proad.drivers.docker import DockerDriver
from relaxed_policy import RELAXED
from rpc.daemon import Daemon, running
from rpc.tenants import tenant

pytestmark = pytest.mark.docker

SIZE = 2**20


@pytest.fixture
async def daemon(folder: Path) -> AsyncIterator[Daemon]:
    state = folder / "state"
    state.mkdir(mode=0o700, parents=True)
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": RELAXED}
    settings = Settings(state_dir=state, **values)
    KeyRing.open(settings.keys_dir)
    async with running(settings, [("local", DockerDriver(f"unix://{engine_socket()}"))]) as served:
        yield served


@pytest.fixture
def labels(raw: docker.APIClient, token: str) -> Iterator[dict[str, str]]:
    """The labels of the containers of a test, which are removed at its end."""
    yield {LABEL: token}
    for container in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        raw.remove_container(container["Id"], force=True)


async def test_prune_removes_what_its_plan_said(
    daemon: Daemon, raw: docker.APIClient, labels: dict[str, str]
):
    tim, eva = await tenant(daemon, "tim"), await tenant(daemon, "eva")
    write = ["sh", "-c", f"head -c {SIZE} /dev/zero > /big"]
    spec = {"image": IMAGE, "labels": labels}
    idle = (await tim.call("CreateContainer", spec=spec)).resource
    big = (await tim.call("CreateContainer", spec=spec | {"command": write}, start=True)).resource
    raw.wait(big.id)
    active = (await tim.call("CreateContainer", spec=spec | {"command": DEAF}, start=True)).resource
    safe = (await tim.call("CreateContainer", spec=spec | {"deletion_protection": True})).resource
    hers = (await eva.call("CreateContainer", spec=spec)).resource
    outside = raw.create_container(IMAGE, labels=labels)["Id"]
    everything = {each.id for each in (idle, big, active, safe, hers)} | {outside}

    def there() -> set[str]:
        label = f"{LABEL}={labels[LABEL]}"
        return {each["Id"] for each in raw.containers(all=True, filters={"label": label})}

    plan = (await tim.call("PruneContainers", labels=labels, validate_only=True)).plan

    assert there() == everything
    sizes = {each.id: each.reclaimed_bytes for each in plan.removals}
    assert sizes.keys() == {idle.id, big.id}
    assert sizes[big.id] >= SIZE > sizes[idle.id]
    assert {each.path for each in plan.removals} == {idle.path, big.path}
    pruned = await tim.call("PruneContainers", labels=labels)
    assert list(pruned.container_ids) == [each.id for each in plan.removals]
    assert pruned.reclaimed_bytes == plan.reclaimed_bytes == sum(sizes.values())
    assert there() == everything - sizes.keys()
