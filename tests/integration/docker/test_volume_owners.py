"""Owners of Docker's volumes on the real engine: handed over, and forgotten with the volume."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from eventually import eventually
from integration.docker.engine_socket import engine_socket
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proad.auth.keys import KeyRing
from proad.config import Settings
from proad.control import Control
from proad.core.local_records import LocalVolumeOwners
from proad.core.volume_owner_reconciler import VolumeTiming
from proad.drivers.docker import DockerDriver
from proad.timing import DaemonTiming
from relaxed_policy import RELAXED
from rpc.daemon import Daemon, running
from rpc.tenants import tenant

pytestmark = pytest.mark.docker


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def owners() -> LocalVolumeOwners:
    return LocalVolumeOwners()


@pytest.fixture
def volume(raw: docker.APIClient, token: str) -> Iterator[str]:
    """The name of a volume, which is removed with all that mounts it."""
    yield token
    for container in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        raw.remove_container(container["Id"], force=True)
    for each in raw.volumes(filters={"name": token})["Volumes"] or ():
        raw.remove_volume(each["Name"])


@pytest.fixture
async def daemon(
    folder: Path, control: Control, owners: LocalVolumeOwners
) -> AsyncIterator[Daemon]:
    state = folder / "state"
    state.mkdir(mode=0o700, parents=True)
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": RELAXED}
    settings = Settings(state_dir=state, **values)
    KeyRing.open(settings.keys_dir)
    drivers = [("local", DockerDriver(f"unix://{engine_socket()}"))]
    timing = DaemonTiming(volumes=VolumeTiming(interval=0.05))
    async with running(
        settings, drivers, control=control, volume_owners=owners, timing=timing
    ) as served:
        yield served


async def rows(owners: LocalVolumeOwners, volume: str) -> list[str]:
    """Return the owners that are recorded of a volume, on any engine."""
    return [
        row.owner
        for engine in list(owners._engines)
        for row in await owners.list(engine)
        if row.id.endswith(volume)
    ]


def spec(token: str, volume: str = "") -> dict[str, Any]:
    mounts = [{"target": "/data", "volume": {"name": volume or token}}]
    return {"image": IMAGE, "command": DEAF, "labels": {LABEL: token}, "mounts": mounts}


async def test_volume_made_outside_is_handed_over(
    daemon: Daemon, control: Control, raw: docker.APIClient, volume: str
):
    raw.create_volume(volume, labels={LABEL: volume})
    tim = await tenant(daemon, "tim")
    assert (await tim.refused("CreateContainer", spec=spec(volume))).reason == "POLICY_DENIED"

    answer = await control.run(json.dumps(["own", f"volume/{volume}", "tim"]).encode())

    assert answer == {"path": f"local/volume/{volume}", "name": volume, "before": ""}
    await tim.call("CreateContainer", spec=spec(volume))


async def test_owner_of_a_volume_is_forgotten_with_the_volume_alone(
    daemon: Daemon, owners: LocalVolumeOwners, raw: docker.APIClient, volume: str
):
    tim = await tenant(daemon, "tim")
    kept, gone = f"{volume}-kept", f"{volume}-gone"
    await tim.call("CreateContainer", spec=spec(volume, kept))
    made = (await tim.call("CreateContainer", spec=spec(volume, gone))).resource
    assert await rows(owners, gone) == await rows(owners, kept) == [tim.id]
    raw.remove_container(made.id, force=True)
    raw.remove_volume(gone)

    async def forgotten() -> bool:
        return await rows(owners, gone) == []

    await eventually(forgotten)
    assert await rows(owners, kept) == [tim.id]


async def test_owner_of_a_volume_that_is_made_again_and_again_is_never_forgotten(
    daemon: Daemon, owners: LocalVolumeOwners, raw: docker.APIClient, volume: str
):
    """The look for volumes that are gone runs all the time beside the creates."""
    tim = await tenant(daemon, "tim")
    for _ in range(20):
        made = (await tim.call("CreateContainer", spec=spec(volume))).resource
        assert await rows(owners, volume) == [tim.id]
        raw.remove_container(made.id, force=True)
        raw.remove_volume(volume)
