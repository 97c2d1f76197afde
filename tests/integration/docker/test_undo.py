"""A create that fails or is cancelled leaves nothing behind."""

import asyncio
import socket
from pathlib import Path

import docker
import pytest

from integration.docker.workloads import DEAF, LABEL, Make
from proad.errors import AlreadyExistsError, InUseError, InvalidArgumentError
from proad.model import (
    BindMount,
    Device,
    Mount,
    NetworkAttachment,
    PublishedPort,
    VolumeMount,
)

pytestmark = pytest.mark.docker


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def left(raw: docker.APIClient, token: str) -> list[str]:
    """Return what is left of a test: containers, and volumes named after it."""
    containers = raw.containers(all=True, filters={"label": f"{LABEL}={token}"})
    volumes = raw.volumes(filters={"name": token})["Volumes"] or []
    return [each["Id"] for each in containers] + [each["Name"] for each in volumes]


async def check_failure(
    make: Make, raw: docker.APIClient, token: str, *command: str, field: str, **fields
):
    with pytest.raises(InvalidArgumentError) as caught:
        await make(*command, **fields)
    assert left(raw, token) == []
    assert [each.field for each in caught.value.violations] == [field]


async def test_create_container_with_taken_port_leaves_nothing(
    make: Make, raw: docker.APIClient, token: str, taken_port: int
):
    port = PublishedPort(container_port=80, host_port=taken_port, host_ip="127.0.0.1")
    volume = Mount(target="/v", volume=VolumeMount(name=token))
    with pytest.raises(InUseError) as caught:
        await make(*DEAF, ports=(port,), mounts=(volume,))
    assert caught.value.metadata["port"] == f"127.0.0.1:{taken_port}"
    assert left(raw, token) == []


async def test_create_container_with_unknown_command_leaves_nothing(
    make: Make, raw: docker.APIClient, token: str
):
    await check_failure(make, raw, token, "no-such-command", field="spec.command[0]")


async def test_create_container_with_unknown_device_leaves_nothing(
    make: Make, raw: docker.APIClient, token: str
):
    devices = (Device(host_path="/dev/none"),)
    await check_failure(make, raw, token, *DEAF, devices=devices, field="spec.devices[0].host_path")


async def test_create_container_with_unknown_folder_leaves_nothing(
    make: Make, raw: docker.APIClient, token: str, tmp_path: Path
):
    folder = Mount(target="/b", bind=BindMount(source=str(tmp_path / "none")))
    volume = Mount(target="/v", volume=VolumeMount(name=token))
    await check_failure(
        make, raw, token, *DEAF, mounts=(volume, folder), field="spec.mounts[1].bind.source"
    )


async def test_create_container_with_unknown_second_network_leaves_nothing(
    make: Make, raw: docker.APIClient, token: str
):
    networks = (NetworkAttachment(network="bridge"), NetworkAttachment(network="proa-test-none"))
    await check_failure(
        make, raw, token, *DEAF, networks=networks, field="spec.networks[1].network"
    )


async def test_create_container_when_failed_keeps_existing_volume(
    make: Make, raw: docker.APIClient, token: str
):
    raw.create_volume(token)
    try:
        volume = Mount(target="/v", volume=VolumeMount(name=token))
        with pytest.raises(InvalidArgumentError):
            await make("no-such-command", mounts=(volume,))
        assert left(raw, token) == [token]
    finally:
        raw.remove_volume(token)


async def test_create_container_with_taken_name_keeps_its_owner(
    make: Make, raw: docker.APIClient, token: str
):
    first = await make(start=False)
    with pytest.raises(AlreadyExistsError):
        await make(*DEAF, name=first.name)
    assert left(raw, token) == [first.id]


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1, 0.2])
async def test_create_container_when_cancelled_leaves_nothing(
    make: Make, raw: docker.APIClient, token: str, delay: float
):
    volume = Mount(target="/v", volume=VolumeMount(name=token))
    create = asyncio.create_task(make(*DEAF, mounts=(volume,)))
    await asyncio.sleep(delay)
    create.cancel()
    try:
        await create
    except asyncio.CancelledError:
        assert left(raw, token) == []
    else:  # the create ended before the cancellation
        assert len(left(raw, token)) == 2
        raw.remove_container(left(raw, token)[0], force=True)
        raw.remove_volume(token)
