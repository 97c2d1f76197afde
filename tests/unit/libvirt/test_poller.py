"""Changes that libvirt has no event of."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import partial

import libvirt
import pytest

from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.poller import Poller
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.tolerant import Omissions
from proad.model import ResourceState, ResourceView
from unit.libvirt.catalogs import HOST, local_catalog


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    connection = Connection(
        "test:///default", threads=1, on_event=lambda _: None, on_loss=lambda: None
    )
    await connection.start()
    yield connection
    await connection.close()


@pytest.fixture
def catalog() -> Iterator[VolumeCatalog]:
    with local_catalog() as catalog:
        yield catalog


@pytest.fixture
def reader(catalog: VolumeCatalog) -> DomainReader:
    return DomainReader(catalog, lambda _: HOST, Omissions("libvirt"))


def on_domain(act: Callable[[libvirt.virDomain], object]) -> Callable[[libvirt.virConnect], str]:
    """Return a call that acts on the test hypervisor's domain, and returns its id."""

    def call(connection: libvirt.virConnect) -> str:
        domain = connection.lookupByName("test")
        act(domain)
        return str(domain.UUIDString())

    return call


async def test_poll_after_a_saved_state_came_and_went_between_two_polls_reports_the_domain(
    connection: Connection, reader: DomainReader
):
    changed: list[str] = []
    poller = Poller(connection, reader, changed.append, timedelta(hours=1))
    await poller.poll()
    id = await connection.call(on_domain(lambda domain: domain.managedSave()))
    assert (await connection.on(id, reader.summary)).state is ResourceState.SAVED
    await connection.call(on_domain(lambda domain: domain.managedSaveRemove()))
    await poller.poll()
    assert changed == [id]
    reader.forget(id)
    assert (await connection.on(id, reader.summary)).state is ResourceState.STOPPED
    await poller.poll()
    assert changed == [id]


async def test_poll_after_autostart_came_and_went_between_two_polls_reports_the_domain(
    connection: Connection, reader: DomainReader
):
    changed: list[str] = []
    poller = Poller(connection, reader, changed.append, timedelta(hours=1))
    await poller.poll()
    id = await connection.call(on_domain(lambda domain: domain.setAutostart(1)))
    shown = await connection.on(id, reader.summary)
    assert shown.domain is not None
    assert shown.domain.autostart
    await connection.call(on_domain(lambda domain: domain.setAutostart(0)))
    await poller.poll()
    assert changed == [id]


async def test_poll_without_a_change_after_reads_reports_nothing(
    connection: Connection, reader: DomainReader
):
    changed: list[str] = []
    poller = Poller(connection, reader, changed.append, timedelta(hours=1))
    for view in ResourceView:
        await connection.call(partial(reader.all, view=view))
        await poller.poll()
    assert changed == []


async def test_poll_after_a_change_of_autostart_reports_the_domain(
    connection: Connection, reader: DomainReader
):
    changed: list[str] = []
    poller = Poller(connection, reader, changed.append, timedelta(hours=1))
    await poller.poll()
    await poller.poll()
    assert changed == []
    id = await connection.call(on_domain(lambda domain: domain.setAutostart(1)))
    await poller.poll()
    assert changed == [id]
