"""Obligations of `PortForwarding` and `SocketForwarding`."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from contract.commands import commands_of
from contract.harness import FORCE, DriverHarness
from eventually import eventually
from proad.errors import (
    ConnectionFailedError,
    ResourceNotFoundError,
    ResourceNotRunningError,
    StateError,
)
from proad.model import CommandSpec, CommandStreams, Resource
from proad.ports import PortConnection, PortForwarding, SocketForwarding

ECHO = 7
NOBODY = 1
SOCKET = "/run/echo.sock"


def ports_of(harness: DriverHarness) -> PortForwarding:
    assert isinstance(harness.driver, PortForwarding)
    return harness.driver


def sockets_of(harness: DriverHarness) -> SocketForwarding:
    assert isinstance(harness.driver, SocketForwarding)
    return harness.driver


async def all_of(connection: PortConnection) -> bytes:
    said = b""
    while piece := await connection.read():
        assert len(piece) <= 64 * 2**10
        said += piece
    return said


class _ConnectionContract(ABC):
    """What connections to ports and to Unix sockets have in common.

    Attributes:
        address: pattern of what a connection tells.
    """

    address: str

    @abstractmethod
    def connect(
        self, harness: DriverHarness, resource: Resource
    ) -> AbstractAsyncContextManager[PortConnection]:
        """Connect to where the server of `echoing` is, or would be."""

    @abstractmethod
    def echoing(self, harness: DriverHarness) -> AbstractAsyncContextManager[Resource]:
        """Give a resource that runs, in which a server echoes what comes."""

    async def test_connection_passes_bytes_both_ways(self, harness: DriverHarness):
        async with (
            self.echoing(harness) as resource,
            self.connect(harness, resource) as connection,
        ):
            assert re.fullmatch(self.address, connection.address)
            await connection.write(b"one")
            assert await connection.read() == b"one"
            await connection.write(b"two")
            connection.end_input()
            assert await all_of(connection) == b"two"
            assert await connection.read() == b""

    async def test_megabytes_come_back_whole_though_nobody_reads_for_a_while(
        self, harness: DriverHarness
    ):
        data = bytes(range(256)) * (4 * 2**20 // 256)
        async with (
            self.echoing(harness) as resource,
            self.connect(harness, resource) as connection,
        ):

            async def write() -> None:
                for start in range(0, len(data), 2**16):
                    await connection.write(data[start : start + 2**16])
                connection.end_input()

            writing = asyncio.create_task(write())
            assert await all_of(connection) == data
            await writing

    async def test_connections_are_many_at_a_time(self, harness: DriverHarness):
        async with self.echoing(harness) as resource:

            async def trial(number: int) -> bytes:
                async with self.connect(harness, resource) as connection:
                    await connection.write(b"%d" % number)
                    connection.end_input()
                    return await all_of(connection)

            answers = await asyncio.gather(*map(trial, range(3)))
        assert answers == [b"%d" % number for number in range(3)]

    async def test_connection_to_what_does_not_run_is_refused(self, harness: DriverHarness):
        stopped = await harness.make()
        with pytest.raises(ResourceNotRunningError):
            async with self.connect(harness, stopped):
                pytest.fail("it is connected")
        await harness.driver.start(stopped.id)
        await harness.driver.pause(stopped.id)
        with pytest.raises(StateError):
            async with self.connect(harness, stopped):
                pytest.fail("it is connected")

    async def test_connection_to_unknown_resource_is_refused(self, harness: DriverHarness):
        gone = await harness.make()
        await harness.driver.delete(gone.id)
        with pytest.raises(ResourceNotFoundError):
            async with self.connect(harness, gone):
                pytest.fail("it is connected")


class PortForwardingContract(_ConnectionContract):
    address = rf".+:{ECHO}"

    async def networked(self, harness: DriverHarness) -> Resource:
        """Return a resource that runs, and whose ports can be connected to."""
        return await harness.running()

    def connect(
        self, harness: DriverHarness, resource: Resource
    ) -> AbstractAsyncContextManager[PortConnection]:
        return ports_of(harness).connect_port(resource.id, ECHO)

    @asynccontextmanager
    async def echoing(self, harness: DriverHarness) -> AsyncIterator[Resource]:
        resource = await self.networked(harness)
        spec = CommandSpec(argv=("nc", "-ll", "-p", str(ECHO), "-e", "cat"))
        detached = CommandStreams(detach=True)
        async with commands_of(harness).start_command(resource.id, spec, detached):
            pass

        async def listens() -> bool:
            with suppress(ConnectionFailedError):
                async with self.connect(harness, resource):
                    return True
            return False

        await eventually(listens)
        yield resource

    async def test_port_where_nobody_listens_is_refused(self, harness: DriverHarness):
        resource = await self.networked(harness)
        with pytest.raises(ConnectionFailedError) as refused:
            async with ports_of(harness).connect_port(resource.id, NOBODY):
                pytest.fail("somebody listens")
        assert refused.value.cause == "refused"


class SocketForwardingContract(_ConnectionContract):
    address = re.escape(SOCKET)

    def connect(
        self, harness: DriverHarness, resource: Resource
    ) -> AbstractAsyncContextManager[PortConnection]:
        return sockets_of(harness).connect_socket(resource.id, SOCKET)

    @asynccontextmanager
    async def echoing(self, harness: DriverHarness) -> AsyncIterator[Resource]:
        yield await harness.running()

    async def test_socket_that_is_not_there_is_refused(self, harness: DriverHarness):
        resource = await harness.running()
        with pytest.raises(ConnectionFailedError) as refused:
            async with sockets_of(harness).connect_socket(resource.id, "/run/nobody.sock"):
                pytest.fail("somebody listens")
        assert refused.value.cause == "refused"
        assert refused.value.metadata["socket_path"] == "/run/nobody.sock"

    async def test_socket_ends_with_its_resource(self, harness: DriverHarness):
        async with (
            self.echoing(harness) as resource,
            self.connect(harness, resource) as connection,
        ):
            await harness.driver.stop(resource.id, FORCE)
            with pytest.raises(ResourceNotRunningError):
                await connection.stopped()
            with pytest.raises(ResourceNotRunningError):
                await all_of(connection)
