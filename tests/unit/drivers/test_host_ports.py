"""The ports of the memory driver's host."""

from collections.abc import AsyncIterator

import pytest

from proad.drivers.memory import MemoryDriver
from proad.errors import InUseError
from proad.model import (
    ContainerSpec,
    PortProtocol,
    PublishedPort,
    Resource,
    RestartMode,
    RestartOptions,
    StopMode,
    StopOptions,
)
from resource_details import container_of

FORCE = StopOptions(mode=StopMode.FORCE)


def port(number: int | None = 8080, ip: str = "", protocol: PortProtocol = PortProtocol.TCP):
    return PublishedPort(container_port=80, host_port=number, host_ip=ip, protocol=protocol)


@pytest.fixture
async def driver() -> AsyncIterator[MemoryDriver]:
    async with MemoryDriver() as driver:
        async for _ in driver.pull_image("web"):
            pass
        yield driver


async def run(driver: MemoryDriver, *ports: PublishedPort, name: str = "") -> Resource:
    spec = ContainerSpec(image="web", name=name, ports=ports)
    return (await driver.create_container(spec, start=True)).resource


@pytest.mark.parametrize(
    ("held", "wished"),
    [(port(), port()), (port(ip="127.0.0.1"), port()), (port(ip="0.0.0.0"), port(ip="127.0.0.1"))],
)
async def test_start_on_a_port_in_use_names_its_user(driver, held, wished):
    await run(driver, held, name="first")
    with pytest.raises(InUseError) as caught:
        await run(driver, wished)
    assert caught.value.metadata["used_by"] == "first"


@pytest.mark.parametrize(
    "wished", [port(protocol=PortProtocol.UDP), port(ip="127.0.0.2"), port(8081, ip="127.0.0.1")]
)
async def test_start_on_another_port_succeeds(driver, wished):
    await run(driver, port(ip="127.0.0.1"))
    await run(driver, wished)


async def test_start_when_refused_releases_its_other_ports(driver):
    await run(driver, port(8081))
    with pytest.raises(InUseError):
        await run(driver, port(8080), port(8081))
    await run(driver, port(8080))


async def test_start_on_one_port_twice_is_refused(driver):
    with pytest.raises(InUseError):
        await run(driver, port(), port())


@pytest.mark.parametrize("deleted", [False, True])
async def test_start_on_the_port_of_an_ended_container_succeeds(driver, deleted):
    made = await run(driver, port())
    await driver.stop(made.id, FORCE)
    if deleted:
        await driver.delete(made.id)
    await run(driver, port())


async def test_restart_keeps_the_port(driver):
    made = await run(driver, port())
    await driver.restart(made.id, RestartOptions(mode=RestartMode.FORCE))
    with pytest.raises(InUseError):
        await run(driver, port())


async def test_start_with_any_port_picks_free_ones(driver):
    await run(driver, port(32769))
    made = [await run(driver, port(None)) for _ in range(3)]
    numbers = {container_of(each).ports[0].host_port for each in made}
    assert len(numbers) == 3
    assert 32769 not in numbers
