"""An inventory that follows a scripted engine with one resource, and verbs on that."""

import pytest

from proad.core.inventory import Inventory
from proad.core.operations import Operations
from proad.core.resolve import Found
from proad.core.verbs import Verbs
from unit.core.inventory.scripted import Scripted, box, linked


@pytest.fixture
def engine():
    return Scripted(box())


@pytest.fixture
async def link(engine):
    return await linked(engine)


@pytest.fixture
async def inventory(link):
    inventory = Inventory([link])
    async with inventory.following():
        yield inventory


@pytest.fixture
def verbs(inventory):
    return Verbs(Operations(), inventory)


@pytest.fixture
def found(inventory, link):
    return Found(link, inventory.known(link, "1").shown)
