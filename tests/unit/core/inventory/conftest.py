"""An inventory that follows a scripted engine."""

from contextlib import AsyncExitStack

import pytest

from proad.core.inventory import Inventory, Journal, Store, reflector, refresher
from unit.core.inventory.scripted import Scripted, linked


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(reflector, "_BACK_OFF", (0.01,))
    monkeypatch.setattr(refresher, "_REFRESH_AGAIN", 0.05)


@pytest.fixture
def engine():
    return Scripted()


@pytest.fixture
async def connection(engine):
    return await linked(engine)


@pytest.fixture
async def follow(connection):
    """Makes an inventory that follows the engine, with the resources that it has by then."""
    async with AsyncExitStack() as stack:

        async def start(*others):
            inventory = Inventory([connection, *others])
            await stack.enter_async_context(inventory.following())
            return inventory

        yield start


@pytest.fixture
def store():
    return Store(Journal())
