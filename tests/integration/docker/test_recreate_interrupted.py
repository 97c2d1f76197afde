"""What a recreation left when its undo was interrupted, and what others may take for that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from integration.docker.counting_proxy import CountingProxy
from integration.docker.engine_socket import engine_socket
from integration.docker.workloads import DEAF, LABEL, OBEDIENT, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.labels import CREATION_LABEL
from proad.errors import ProaError
from proad.model import Footprint, Resource, ResourceState
from resource_details import spec_of

pytestmark = pytest.mark.docker


class NoRemovals(CountingProxy):
    """Lets no removal of a container through, as if the daemon had died before."""

    def request(self, chunk: bytes) -> bytes:
        if b"DELETE " in chunk and b"/containers/" in chunk:
            raise ConnectionResetError
        return chunk


@pytest.fixture
async def dying(tmp_path: Path) -> AsyncIterator[DockerDriver]:
    socket = tmp_path / "proxy.sock"
    async with (
        NoRemovals(engine_socket(), socket).serving() as proxy,
        DockerDriver(proxy.url) as driver,
    ):
        yield driver


async def begun(driver: DockerDriver, made: Resource, *, until: str = "") -> Footprint:
    """Return the footprint of a recreation that is cancelled at a step, or else fails."""
    told: list[Footprint] = []

    async def tell(footprint: Footprint) -> None:
        told.append(footprint)

    def on_step(step: str, _percent: int | None) -> None:
        if step == until:
            task.cancel()

    spec = spec_of(made)
    if not until:
        spec = replace(spec, entrypoint=("/no/such/program",))
    task = asyncio.create_task(
        driver.recreate_container(made.id, spec, announce=tell, on_step=on_step)
    )
    with contextlib.suppress(asyncio.CancelledError, ProaError):
        await task
    return told[0]


async def test_recreation_whose_undo_was_interrupted_is_undone(
    dying: DockerDriver, driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    """The new container ran under the name, and was killed: that is not how it was asked for."""
    made = await make(*OBEDIENT)
    footprint = await begun(dying, made, until="starting the new one")
    listed = raw.containers(all=True, filters={"label": f"{LABEL}={token}"})
    assert len(listed) == 2

    found = await driver.find_created(footprint)
    assert found is not None
    assert not found.complete
    await driver.undo_created(footprint)

    now = await driver.get_resource(made.id)
    assert (now.name, now.state) == (made.name, ResourceState.RUNNING)
    assert len(raw.containers(all=True, filters={"label": f"{LABEL}={token}"})) == 1


async def test_undo_of_a_recreation_leaves_what_another_one_has_set_aside(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    """A failed recreation is looked for until its record ends; the next one is under way."""
    made = await make(*OBEDIENT)
    footprint = await begun(driver, made)
    raw.stop(made.id, timeout=0)
    aside = f"{made.name}_proa-old-0badcafe"
    raw.rename(made.id, aside)

    await driver.undo_created(footprint, force=True)

    now = await driver.get_resource(made.id)
    assert (now.name, now.state) == (aside, ResourceState.STOPPED)


async def test_failed_create_leaves_a_container_with_its_nonce_from_an_image(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    """A container has its image's labels, and an image may be committed from what a create made."""
    base = await make(*DEAF, start=False)
    copies: list[str] = []

    async def copy(footprint: Footprint) -> None:
        label = f"LABEL {CREATION_LABEL}={footprint.mark}"
        image = raw.commit(base.id, repository=token, changes=[label])["Id"]
        copies.append(raw.create_container(image, [*DEAF], labels={LABEL: token})["Id"])
        raw.start(copies[0])

    try:
        with pytest.raises(ProaError):
            await driver.create_container(
                replace(make.spec(), entrypoint=("/no/such/program",)), start=True, announce=copy
            )
        assert raw.inspect_container(copies[0])["State"]["Running"]
    finally:
        for each in copies:
            with contextlib.suppress(docker.errors.NotFound):
                raw.remove_container(each, force=True)
        raw.remove_image(token, force=True)
