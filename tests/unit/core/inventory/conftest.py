"""An inventory that follows a scripted engine."""

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from proad.core.inventory import ChangeHistory, Inventory, InventoryTiming, Store
from unit.core.inventory.scripted import Scripted, linked
from unit.core.inventory.watched import Watched


@pytest.fixture
def engine():
    return Scripted()


@pytest.fixture
async def connection(engine):
    return await linked(engine)


@pytest.fixture
async def follow(connection):
    """Return an inventory that follows the engine, with the resources that it has by then."""
    async with AsyncExitStack() as stack:

        async def start(*others, **timing):
            impatient = replace(InventoryTiming(back_off=(0.01,), retry_after=0.05), **timing)
            inventory = Inventory([connection, *others], timing=impatient)
            await stack.enter_async_context(inventory.following())
            return inventory

        yield start


@pytest.fixture
def store():
    return Store(ChangeHistory())


@pytest.fixture
async def inventory(connection):
    """Return an inventory in which the test makes each change."""
    inventory = Watched([connection])
    async with inventory.following():
        yield inventory
