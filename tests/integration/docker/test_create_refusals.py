"""What a create is refused for, on the real engine."""

import pytest

from integration.docker.workloads import DEAF, Make
from proad.drivers.docker import DockerDriver
from proad.errors import AlreadyExistsError, ImageNotFoundError, InvalidArgumentError
from proad.model import NetworkAttachment

pytestmark = pytest.mark.docker


async def test_create_container_with_taken_name_raises_already_exists(
    driver: DockerDriver, make: Make
):
    first = await make(start=False)
    with pytest.raises(AlreadyExistsError) as caught:
        await make(start=False, name=first.name)
    assert caught.value.metadata == {"container": first.name, "existing_id": first.id}
    assert (await driver.get_resource(first.id)) == first


@pytest.mark.parametrize("image", ["proa-test/none:1", "proa-test/none", "sha256:" + "0" * 64])
async def test_create_container_without_image_raises_image_not_found(make: Make, image: str):
    with pytest.raises(ImageNotFoundError) as caught:
        await make(image=image)
    assert caught.value.metadata == {"image": image}


@pytest.mark.parametrize("image", ["NO/IMAGE", "a b", "../containers/json", ""])
async def test_create_container_with_invalid_image_name_names_field(make: Make, image: str):
    with pytest.raises(InvalidArgumentError) as caught:
        await make(image=image)
    assert caught.value.violations[0].field == "spec.image"


async def test_create_container_with_unknown_network_names_field(make: Make):
    with pytest.raises(InvalidArgumentError) as caught:
        await make(*DEAF, networks=(NetworkAttachment(network="proa-test-none"),))
    assert caught.value.violations[0].field == "spec.networks[0].network"


async def test_create_container_with_mac_address_names_field(make: Make):
    wish = NetworkAttachment(network="bridge", mac_address="52:54:00:12:34:56")
    with pytest.raises(InvalidArgumentError) as caught:
        await make(start=False, networks=(wish,))
    assert caught.value.violations[0].field == "spec.networks[0].mac_address"
