"""Labels of ours that a container has from its image say nothing of that container."""

import asyncio
from collections.abc import AsyncIterator

import docker
import pytest

from integration.core_harness import CoreHarness
from integration.docker.workloads import DEAF, IMAGE, LABEL, Make
from proad.core.actor import act_for
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.labels import LIFETIME_LABEL
from proad.model import Lifetime, ResourceState, StopMode, StopOptions, Subject

pytestmark = pytest.mark.docker

WITHIN = 60.0


@pytest.fixture
async def image(raw: docker.APIClient, make: Make, token: str) -> AsyncIterator[str]:
    """An image made of a TRANSIENT container of ours: it has the container's labels."""
    made = await make(*DEAF, start=False, lifetime=Lifetime.TRANSIENT)
    image = raw.commit(made.id, repository=token)["Id"]
    yield image
    for container in raw.containers(all=True, filters={"ancestor": image}):
        raw.remove_container(container["Id"], force=True)
    raw.remove_image(image, force=True)


async def test_stop_of_a_container_with_inherited_labels_keeps_it_in_the_inventory(
    driver: DockerDriver, raw: docker.APIClient, image: str, token: str
):
    act_for(Subject("ann"))
    id = raw.create_container(image, labels={LABEL: token})["Id"]
    raw.start(id)

    async with asyncio.timeout(WITHIN), CoreHarness.of(driver) as core:
        await core.lifecycle.stop(id, StopOptions(mode=StopMode.FORCE))
        known = [entry.published for entry in core.inventory.with_id(id)]

    assert [(each.state, each.lifetime) for each in known] == [(ResourceState.STOPPED, None)]
    assert [what for what, *_ in core.changes_of(id)] == ["RUNNING", "STOPPED"]


async def test_summary_of_a_container_of_ours_with_inherited_labels_tells_its_own_lifetime(
    driver: DockerDriver, make: Make, image: str
):
    made = await make(*DEAF, start=False, image=image)

    listed = {each.id: each.lifetime for each in await driver.list_resources()}

    assert listed[made.id] is Lifetime.PERSISTENT


async def test_summary_with_inherited_lifetime_label_has_no_lifetime(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    base = await make(*DEAF, start=False)
    label = f'LABEL {LIFETIME_LABEL}="TRANSIENT {raw.inspect_image(IMAGE)["Id"]}"'
    image = raw.commit(base.id, repository=token, changes=[label])["Id"]
    try:
        id = raw.create_container(image, labels={LABEL: token})["Id"]
        listed = {each.id: each.lifetime for each in await driver.list_resources()}
        raw.remove_container(id)
    finally:
        raw.remove_image(image, force=True)

    assert listed[id] is None
