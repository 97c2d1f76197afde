"""The version of the Engine API that is spoken with engines of other generations.

Behind the proxy is a real engine, which refuses a version that it does not know.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from event_queue import EventQueue
from eventually import eventually
from integration.docker.engine_socket import engine_socket
from integration.docker.private_engine import PrivateEngine
from integration.docker.version_proxy import VersionProxy
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.http.api_version import NEWEST_TESTED, ApiVersion
from proad.errors import EngineUnreachableError
from proad.model import (
    ContainerSpec,
    DeleteOptions,
    NetworkAttachment,
    ResourceState,
    ResourceView,
)

pytestmark = pytest.mark.docker

AFTER_TESTED = NEWEST_TESTED._replace(minor=NEWEST_TESTED.minor + 1)
FAR_NEWER = NEWEST_TESTED._replace(minor=99)


@asynccontextmanager
async def pretended(
    folder: Path, oldest: ApiVersion, newest: ApiVersion
) -> AsyncIterator[VersionProxy]:
    proxy = VersionProxy(engine_socket(), folder / "proxy.sock", oldest=oldest, newest=newest)
    async with proxy.serving():
        yield proxy


async def test_probe_of_this_engine_speaks_at_most_its_version(
    driver: DockerDriver, raw: docker.APIClient
):
    offered = ApiVersion.parse(raw.version(api_version=False)["ApiVersion"])
    assert offered is not None
    assert (await driver.probe()).api_version == str(min(offered, NEWEST_TESTED))


@pytest.mark.parametrize(
    ("oldest", "newest"),
    [
        pytest.param(ApiVersion(1, 44), ApiVersion(1, 52), id="docker-29"),
        pytest.param(NEWEST_TESTED, FAR_NEWER, id="newest-tested-is-the-minimum"),
    ],
)
async def test_newer_engine_is_spoken_to_in_newest_tested_version(
    raw: docker.APIClient, folder: Path, token: str, oldest: ApiVersion, newest: ApiVersion
):
    async with (
        pretended(folder, oldest, newest) as proxy,
        DockerDriver(proxy.url) as driver,
        EventQueue.of(driver) as events,
    ):
        spec = ContainerSpec(
            image=IMAGE,
            name=token,
            command=DEAF,
            labels={LABEL: token},
            networks=(NetworkAttachment(network="none"),),
        )
        made = (await driver.create_container(spec, start=True)).resource
        try:
            assert made.state is ResourceState.RUNNING
            async for event in events:
                if event.id == made.id:
                    break
            assert made.id in {each.id for each in await driver.list_resources()}
            assert (await driver.get_resource(made.id, ResourceView.FULL)).name == token
            assert made.id in await driver.stats([made.id])
        finally:
            await driver.delete(made.id, DeleteOptions(force=True))
        assert (await driver.probe()).api_version == str(NEWEST_TESTED)
        spoken = {call.split("/")[1] for call in proxy.calls}
        assert spoken == {"version", f"v{NEWEST_TESTED}"}


async def test_older_engine_is_spoken_to_in_its_newest_version(raw: docker.APIClient, folder: Path):
    async with (
        pretended(folder, ApiVersion(1, 12), ApiVersion(1, 30)) as proxy,
        DockerDriver(proxy.url) as driver,
    ):
        await driver.list_resources()
        version, *others = (call.split("/")[1] for call in proxy.calls)
        # A list asks for more where containers of others come and go meanwhile.
        assert version == "version"
        assert set(others) == {"v1.30"}


async def test_engine_that_takes_its_newest_version_alone_is_spoken_to(
    raw: docker.APIClient, folder: Path
):
    """As an operator may have it, from Docker 25 on; older engines ignore the setting."""
    newest = ApiVersion.parse(raw.version(api_version=False)["ApiVersion"])
    assert newest is not None
    wanted = min(newest, NEWEST_TESTED)
    engine = PrivateEngine(folder, DOCKER_MIN_API_VERSION=str(wanted))
    engine.start()
    try:
        async with DockerDriver(engine.url) as driver:
            await eventually(partial(engine.answers, driver))
            assert (await driver.probe()).api_version == str(wanted)
            assert await driver.list_resources() == []
        with docker.APIClient(engine.url, version=str(wanted)) as client:
            told = await asyncio.to_thread(client.version, api_version=False)
        if int(told["Version"].partition(".")[0]) >= 25:
            assert told["MinAPIVersion"] == str(wanted)
    finally:
        engine.stop()


async def test_engine_refuses_a_version_before_its_minimum(raw: docker.APIClient, folder: Path):
    """Hence the proxy is as strict as Docker 29, and the tests above could fail."""
    async with pretended(folder, ApiVersion(1, 44), ApiVersion(1, 52)) as proxy:
        with docker.APIClient(proxy.url, version="1.43") as old, pytest.raises(APIError) as caught:
            await asyncio.to_thread(old.containers)
        assert caught.value.status_code == HTTPStatus.BAD_REQUEST


async def test_engine_without_tested_version_is_unreachable_until_it_takes_one(
    raw: docker.APIClient, folder: Path
):
    async with (
        pretended(folder, NEWEST_TESTED, FAR_NEWER) as proxy,
        DockerDriver(proxy.url) as driver,
    ):
        await driver.list_resources()
        proxy.oldest = AFTER_TESTED  # the engine is replaced by a newer one
        proxy.calls.clear()
        for call in (driver.probe(), driver.list_resources(), driver.start("0" * 64)):
            with pytest.raises(EngineUnreachableError) as caught:
                await call
            assert f"DOCKER_MIN_API_VERSION={NEWEST_TESTED}" in caught.value.cause
        assert set(proxy.calls) == {"GET /version"}

        proxy.oldest = NEWEST_TESTED  # the advice is followed
        assert (await driver.probe()).api_version == str(NEWEST_TESTED)
        await driver.list_resources()
