"""An inventory that follows a scripted engine with one resource."""

import pytest

from proad.core.inventory import Inventory
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
