"""An inventory that follows a scripted engine with one resource, and verbs on it."""

import pytest

from proad.core.inventory import Inventory
from proad.core.resolver import ResolvedResource
from unit.core.inventory.scripted import Scripted, box, linked
from unit.core.verb_caller import VerbCaller


@pytest.fixture
def engine():
    return Scripted(box())


@pytest.fixture
async def connection(engine):
    return await linked(engine)


@pytest.fixture
async def inventory(connection):
    inventory = Inventory([connection])
    async with inventory.following():
        yield inventory


@pytest.fixture
def verbs(inventory, connection):
    return VerbCaller(inventory, connection)


@pytest.fixture
def resolved(inventory, connection):
    return ResolvedResource(connection, inventory.entry(connection, "1").published, "web")
