"""Containers made externally, with values that once broke the views."""

from collections.abc import Iterator
from contextlib import suppress

import docker
import pytest
from docker.errors import NotFound

from free_port import free_ports
from integration.docker.archives import saved_image
from integration.docker.workloads import IMAGE, LABEL
from proad.drivers.docker import DockerDriver
from proad.errors import ResourceNotFoundError
from proad.model import (
    PublishedPort,
    ResourceState,
    ResourceView,
    StopMode,
    StopOptions,
)
from resource_details import container_of, spec_of

pytestmark = pytest.mark.docker

FORCE = StopOptions(mode=StopMode.FORCE)


@pytest.fixture
def some_ports() -> range:
    return free_ports(4)


@pytest.fixture
def ranged(raw: docker.APIClient, token: str, some_ports: range) -> Iterator[str]:
    """The id of a container that publishes port 80 on one of `some_ports`."""
    ports = f"{some_ports[0]}-{some_ports[-1]}"
    made = raw.create_container(
        IMAGE,
        ["sleep", "3600"],
        name=token,
        labels={LABEL: token},
        ports=[80],
        host_config=raw.create_host_config(port_bindings={80: ports}),
    )
    yield made["Id"]
    with suppress(NotFound):
        raw.remove_container(made["Id"], force=True)


@pytest.fixture(params=["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"])
def dated(raw: docker.APIClient, token: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an image whose author set a date at either end of the calendar."""
    image = saved_image(f"{token}:1", created=request.param, config={"Labels": {LABEL: token}})
    list(raw.load_image(image))
    yield f"{token}:1"
    raw.remove_image(f"{token}:1")


async def test_lifecycle_of_container_with_port_range_works(
    driver: DockerDriver, raw: docker.APIClient, ranged: str, some_ports: range
):
    full = await driver.get_resource(ranged)
    wish = (PublishedPort(container_port=80),)
    assert (container_of(full).ports, spec_of(full).ports) == ((), wish)
    assert ranged in {each.id for each in await driver.list_resources(ResourceView.FULL)}

    raw.start(ranged)
    running = await driver.get_resource(ranged)
    (port,) = {port.host_port for port in container_of(running).ports}
    assert port in some_ports

    assert (await driver.stop(ranged, FORCE)).state is ResourceState.STOPPED
    stopped = await driver.get_resource(ranged)
    assert (container_of(stopped).ports, spec_of(stopped).ports) == ((), wish)
    assert (await driver.delete(ranged)).id == ranged
    with pytest.raises(ResourceNotFoundError):
        await driver.get_resource(ranged)


async def test_image_with_extreme_date_is_listed(driver: DockerDriver, dated: str):
    assert (await driver.get_image(dated)).tags == (dated,)
    assert dated in {tag for image in await driver.list_images() for tag in image.tags}
