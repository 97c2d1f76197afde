"""The FULL view of a resource after a verb."""

import pytest

from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.lifecycle import Lifecycle
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.slices import TimeSlicer
from proad.core.verb_runner import VerbRunner
from proad.core.view_supplements import ViewSupplements
from proad.drivers.memory import MemoryDriver
from proad.model import ContainerSpec, ResourceState, ResourceView
from relaxed_policy import RELAXED_POLICY
from unit.core.inventory.scripted import linked, quiet
from unit.core.unlimited import unlimited

SPEC = ContainerSpec(image="proa-test/busybox:1", name="web")


class RecordingDriver(MemoryDriver):
    """Records the views that are read, and runs `during` before each pause."""

    def __init__(self):
        super().__init__()
        self.read = []
        self.during = None

    async def pause(self, id):
        if self.during is not None:
            await self.during()
        return await super().pause(id)

    async def get_resource(self, id, view=ResourceView.FULL):
        self.read.append(view)
        return await super().get_resource(id, view)


@pytest.fixture
async def driver():
    async with RecordingDriver() as driver:
        yield driver


@pytest.fixture
async def web(driver):
    return (await driver.create_container(SPEC, start=True)).resource


@pytest.fixture
async def connection(driver):
    return await linked(driver)


@pytest.fixture
async def inventory(connection, web):
    inventory = Inventory([connection])
    async with inventory.following():
        yield inventory


@pytest.fixture
def lifecycle(inventory, connection):
    resolver = Resolver(Hosts(["local"], [connection]), inventory)
    gate = PolicyGate(RELAXED_POLICY, inventory)
    verbs = VerbRunner(resolver, inventory, ShieldedTasks(), gate)
    return Lifecycle(
        resolver, verbs, inventory, gate, unlimited(inventory, gate), ViewSupplements(TimeSlicer())
    )


async def test_pause_with_a_full_read_during_it_drops_that_full_view(
    driver, web, lifecycle, inventory, connection
):
    async def reads():
        await lifecycle.get(web.id, ResourceView.FULL)
        await inventory.refresh(connection, web.id)

    driver.during = reads
    await lifecycle.pause(web.id)
    await quiet(inventory)
    driver.read.clear()

    for _ in range(3):
        full = await lifecycle.get(web.id, ResourceView.FULL)
        assert full.state is ResourceState.PAUSED
    assert driver.read.count(ResourceView.FULL) <= 1
