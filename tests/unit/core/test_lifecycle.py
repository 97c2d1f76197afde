"""What the verbs tell a driver of what is known, and keep of what it says."""

import asyncio

import pytest

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.lifecycle import Lifecycle
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.verb_runner import VerbRunner
from proad.drivers.memory import MemoryDriver
from proad.model import ContainerSpec, ResourceState, ResourceUpdate, ResourceView
from unit.core.inventory.scripted import linked, quiet, until

SPEC = ContainerSpec(image="proa-test/busybox:1", name="web")


class Noting(MemoryDriver):
    """Notes what it is told before a pause, and what is read; reads wait while it is shut."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.read = []
        self.open = asyncio.Event()
        self.open.set()
        self.during = None

    async def pause(self, id, *, before=None):
        self.told.append(before)
        if self.during is not None:
            await self.during()
        return await super().pause(id)

    async def get_resource(self, id, view=ResourceView.FULL):
        self.read.append(view)
        await self.open.wait()
        return await super().get_resource(id, view)


@pytest.fixture
async def driver():
    async with Noting() as driver:
        yield driver


@pytest.fixture
async def web(driver):
    return (await driver.create_container(SPEC, start=True)).resource


@pytest.fixture
async def inventory(driver, web):
    inventory = Inventory([await linked(driver)])
    async with inventory.following():
        yield inventory


@pytest.fixture
def connection(inventory):
    return next(iter(inventory._reflectors.values())).connection


@pytest.fixture
def lifecycle(inventory, connection):
    resolver = Resolver(Hosts(["local"], [connection]), inventory)
    return Lifecycle(resolver, VerbRunner(resolver, inventory, ShieldedTasks()), inventory)


async def test_a_driver_is_told_what_is_known_before_a_pause(driver, web, lifecycle):
    await lifecycle.pause(web.id)
    (before,) = driver.told
    assert (before.id, before.name, before.state) == (web.id, "web", ResourceState.RUNNING)


async def test_it_is_told_nothing_that_may_have_changed(driver, web, lifecycle, inventory):
    """Or else what somebody else has done would be overwritten, verb by verb."""
    driver.open.clear()
    await driver.update(web.id, ResourceUpdate(name="renamed"))
    await until(lambda: driver.read)  # it is about to be known

    await lifecycle.pause(web.id)

    assert driver.told == [None]
    driver.open.set()
    await quiet(inventory)
    assert (await lifecycle.get(web.id, ResourceView.SUMMARY)).name == "renamed"


async def test_a_full_view_of_before_a_pause_does_not_outlive_it(
    driver, web, lifecycle, inventory, connection
):
    """The driver tells no event of it that would end it."""

    async def reads():
        await lifecycle.get(web.id, ResourceView.FULL)
        await inventory.refresher(connection).refresh(web.id)

    driver.during = reads
    await lifecycle.pause(web.id)
    await quiet(inventory)
    driver.read.clear()

    for _ in range(3):
        full = await lifecycle.get(web.id, ResourceView.FULL)
        assert full.state is ResourceState.PAUSED
    assert driver.read.count(ResourceView.FULL) <= 1
