"""The API calls of a list: one, whoever made the containers."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from integration.docker.counting_proxy import CountingProxy
from integration.docker.engine_socket import engine_socket
from integration.docker.workloads import DEAF, IMAGE, LABEL, Make
from proad.drivers.docker import DockerDriver
from proad.model import Lifetime, Resource, ResourceView

pytestmark = pytest.mark.docker

NUMBER = 200


@pytest.fixture
def made_by_others(raw: docker.APIClient, token: str) -> Iterator[dict[str, bool]]:
    """Containers made as by `docker create`: by id, whether made with --rm."""
    made: dict[str, bool] = {}
    try:
        for number in range(NUMBER):
            auto_remove = bool(number % 2)
            created = raw.create_container(
                IMAGE,
                list(DEAF),
                name=f"{token}-others-{number}",
                host_config=raw.create_host_config(auto_remove=auto_remove, network_mode="none"),
                labels={LABEL: token},
            )
            made[created["Id"]] = auto_remove
        running = list(made)[:4]
        for id in running:
            raw.start(id)
        yield made
    finally:
        for id in made:
            raw.remove_container(id, force=True)


async def test_list_of_external_containers_makes_one_call(
    made_by_others: dict[str, bool], folder: Path
):
    async with (
        CountingProxy(engine_socket(), folder / "proxy.sock").serving() as proxy,
        DockerDriver(proxy.url) as driver,
    ):
        await driver.probe()
        proxy.calls.clear()

        listed = {each.id: each for each in await driver.list_resources()}

        assert made_by_others.keys() <= listed.keys()
        assert [call.partition("/containers/")[2] for call in proxy.calls] == ["json?all=1"]
        assert {listed[id].lifetime for id in made_by_others} == {None}

        proxy.calls.clear()
        id, auto_remove = next(iter(made_by_others.items()))
        assert await driver.get_resource(id, ResourceView.SUMMARY) == listed[id]
        assert len(proxy.calls) == 1
        full = await driver.get_resource(id)
        assert full.lifetime is (Lifetime.TRANSIENT if auto_remove else Lifetime.PERSISTENT)


async def test_list_of_own_containers_returns_lifetime(driver: DockerDriver, make: Make):
    made: list[Resource] = [
        await make(*DEAF, start=False, lifetime=lifetime) for lifetime in Lifetime
    ]
    listed = {each.id: each for each in await driver.list_resources()}
    assert [listed[each.id].lifetime for each in made] == list(Lifetime)


async def test_stop_of_external_transient_container_returns_lifetime(
    driver: DockerDriver, raw: docker.APIClient, token: str
):
    host_config = raw.create_host_config(auto_remove=True, network_mode="none")
    created = await asyncio.to_thread(
        raw.create_container,
        IMAGE,
        ["sleep", "600"],
        name=f"{token}-passing",
        host_config=host_config,
        labels={LABEL: token},
        stop_timeout=1,  # nothing here obeys a signal
    )
    await asyncio.to_thread(raw.start, created["Id"])
    stopped = await driver.stop(created["Id"])
    assert stopped.lifetime is Lifetime.TRANSIENT
    assert created["Id"] not in {each.id for each in await driver.list_resources()}
