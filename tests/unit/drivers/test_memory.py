"""Features of the memory driver alone: loss on demand, and predictable statistics."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from event_queue import EventQueue
from eventually import eventually
from proad import ports
from proad.drivers.memory import MemoryDriver
from proad.errors import (
    AlreadyExistsError,
    EngineUnreachableError,
    ResourceAlreadyRunningError,
)
from proad.model import (
    CommandSpec,
    CommandStreams,
    ContainerSpec,
    DirectoryMake,
    DiskFormat,
    DomainSpec,
    DomainXml,
    EngineEvent,
    FileRead,
    FileRemoval,
    FileWrite,
    Footprint,
    LogOptions,
    RegistryCredentials,
    Resource,
    ResourceState,
    ResourceStats,
    SnapshotSpec,
    StopMode,
    StopOptions,
    VolumeRef,
    VolumeSpec,
)
from updating import container_update

IMAGE = "proa-test/busybox:1"
MIB = 2**20
SPEC = DomainSpec(name="vm", memory_bytes=64 * MIB)
VOLUME = VolumeSpec(name="disk", capacity_bytes=MIB, format=DiskFormat.RAW)


async def _all(pull: AsyncIterator[object]) -> None:
    async for _ in pull:
        pass


async def _enter(driver: MemoryDriver, _id: str) -> None:
    async with EventQueue.of(driver):
        pass


async def _enter_port(driver: MemoryDriver, id: str) -> None:
    async with driver.connect_port(id, 7):
        pass


async def _enter_socket(driver: MemoryDriver, id: str) -> None:
    async with driver.connect_socket(id, "/run/echo.sock"):
        pass


async def _enter_console(driver: MemoryDriver, id: str) -> None:
    async with driver.attach(id):
        pass


async def _enter_log(driver: MemoryDriver, id: str) -> None:
    async with driver.read_log(id, LogOptions()):
        pass


async def _enter_command(driver: MemoryDriver, id: str) -> None:
    async with driver.start_command(id, CommandSpec(argv=("true",)), CommandStreams()):
        pass


async def _read_file(driver: MemoryDriver, id: str) -> None:
    async with driver.read_file(id, FileRead(path="/etc")):
        pass


async def _write_file(driver: MemoryDriver, id: str) -> None:
    async with driver.write_file(id, FileWrite(path="/file")):
        pass


# Every call to the engine, by name.
CALLS: dict[str, Callable[[MemoryDriver, str], Awaitable[object]]] = {
    "identity": lambda d, _: d.identity(),
    "probe": lambda d, _: d.probe(),
    "list_resources": lambda d, _: d.list_resources(),
    "get_resource": lambda d, id: d.get_resource(id),
    "subscribe": _enter,
    "start": lambda d, id: d.start(id),
    "stop": lambda d, id: d.stop(id),
    "restart": lambda d, id: d.restart(id),
    "pause": lambda d, id: d.pause(id),
    "resume": lambda d, id: d.resume(id),
    "delete": lambda d, id: d.delete(id),
    "update": lambda d, id: d.update(id, container_update(name="other")),
    "plan_update": lambda d, id: d.plan_update(id, container_update(name="other")),
    "stats": lambda d, id: d.stats([id]),
    "find_id": lambda d, _: d.find_id("web"),
    "start_command": _enter_command,
    "stat_file": lambda d, id: d.stat_file(id, "/"),
    "list_files": lambda d, id: anext(d.list_files(id, "/")),
    "read_file": _read_file,
    "write_file": _write_file,
    "make_directory": lambda d, id: d.make_directory(id, DirectoryMake(path="/a")),
    "remove_file": lambda d, id: d.remove_file(id, FileRemoval(path="/etc")),
    "connect_port": _enter_port,
    "connect_socket": _enter_socket,
    "ask_guest": lambda d, id: d.ask_guest(id),
    "attach": _enter_console,
    "read_log": _enter_log,
    "create_container": lambda d, _: d.create_container(ContainerSpec(image=IMAGE)),
    "recreate_container": lambda d, id: d.recreate_container(id, ContainerSpec(image=IMAGE)),
    "container_volumes": lambda d, _: d.container_volumes(),
    "container_networks": lambda d, _: d.container_networks(["net"]),
    "layer_size": lambda d, id: d.layer_size(id),
    "env_secrets": lambda d, id: d.env_secrets(id),
    "list_images": lambda d, _: d.list_images(),
    "get_image": lambda d, _: d.get_image(IMAGE),
    "pull_image": lambda d, _: _all(d.pull_image("nginx")),
    "delete_image": lambda d, _: d.delete_image(IMAGE),
    "check_credentials": lambda d, _: d.check_credentials(
        RegistryCredentials(registry="r.example", username="u", password="p")
    ),
    "domain_facts": lambda d, _: d.domain_facts(),
    "domain_documents": lambda d, id: d.domain_documents(id),
    "create_domain": lambda d, _: d.create_domain(SPEC),
    "create_domain_from_xml": lambda d, _: d.create_domain_from_xml(DomainXml(xml="<domain/>")),
    "find_running": lambda d, _: d.find_running(1),
    "get_domain_xml": lambda d, id: d.get_domain_xml(id),
    "list_snapshots": lambda d, id: d.list_snapshots(id),
    "get_snapshot": lambda d, id: d.get_snapshot(id, "one"),
    "create_snapshot": lambda d, id: d.create_snapshot(id, SnapshotSpec(name="one")),
    "revert_snapshot": lambda d, id: d.revert_snapshot(id, "one"),
    "delete_snapshot": lambda d, id: d.delete_snapshot(id, "one"),
    "list_volumes": lambda d, _: d.list_volumes(),
    "create_volume": lambda d, _: d.create_volume(VOLUME),
    "delete_volume": lambda d, _: d.delete_volume("default", "disk"),
    "record_volume": lambda d, _: d.record_volume("default", "disk"),
    "recorded_volumes": lambda d, _: d.recorded_volumes(),
    "find_created": lambda d, id: d.find_created(Footprint(mark=id, create_time=datetime.now(UTC))),
    "undo_created": lambda d, id: d.undo_created(Footprint(mark=id, create_time=datetime.now(UTC))),
}


async def container(driver: MemoryDriver, **labels: str) -> Resource:
    spec = ContainerSpec(
        image=IMAGE, labels={f"proa.memory/{name}": value for name, value in labels.items()}
    )
    return (await driver.create_container(spec, start=True)).resource


UNDER_WAY = {
    ports.Console,
    ports.FileReader,
    ports.FileWriter,
    ports.PortConnection,
    ports.RunningCommand,
}


def test_calls_covers_every_method_of_the_ports():
    protocols = [
        each
        for _, each in inspect.getmembers(ports, inspect.isclass)
        if each.__module__.startswith(ports.__name__) and each not in UNDER_WAY
    ]
    methods = {
        name
        for protocol in protocols
        for name, member in vars(protocol).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    assert methods == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
async def test_call_of_a_lost_engine_raises_unreachable(name: str):
    async with MemoryDriver() as driver:
        made = await driver.create_domain(SPEC)
        id = made.id
        driver.lose()
        with pytest.raises(EngineUnreachableError):
            await CALLS[name](driver, id)
        driver.come_back()
        (resource,) = await driver.list_resources()
        assert (resource.id, resource.name, resource.state) == (id, "vm", ResourceState.STOPPED)
        assert await driver.list_snapshots(id) == []
        assert made.domain is not None
        assert [
            VolumeRef(pool=each.pool, name=each.name) for each in await driver.list_volumes()
        ] == [disk.volume for disk in made.domain.disks]


async def test_lose_ends_subscriptions_for_good():
    events: list[EngineEvent] = []
    async with MemoryDriver() as driver:
        made = await container(driver)
        async with driver.subscribe(events.append) as lost:
            driver.lose()
            driver.come_back()
            await driver.pause(made.id)
            with pytest.raises(EngineUnreachableError):
                await lost
            assert events == []
            async with driver.subscribe(events.append):
                await driver.resume(made.id)
            assert events == [EngineEvent(id=made.id)]


class Stopping:
    """A graceful stop that has asked its workload.

    Attributes:
        task: the stop.
    """

    def __init__(self, driver: MemoryDriver, id: str) -> None:
        self._asked = asyncio.Event()
        self.task = asyncio.create_task(driver.stop(id, on_step=self._on_step))

    async def asked(self) -> None:
        """Wait until the workload is asked."""
        async with asyncio.timeout(30):
            await self._asked.wait()

    def _on_step(self, _step: str, _percent: int | None) -> None:
        self._asked.set()


async def test_lose_ends_calls_that_wait():
    async with MemoryDriver() as driver:
        made = await container(driver, **{"ignores-stop": "true"})
        stop = Stopping(driver, made.id)
        await stop.asked()
        driver.lose()
        driver.come_back()
        async with asyncio.timeout(30):
            with pytest.raises(EngineUnreachableError):
                await stop.task
        assert (await driver.get_resource(made.id)).state is ResourceState.RUNNING


async def test_lose_leaves_workloads_alive():
    async with MemoryDriver() as driver:
        made = await container(driver, **{"stop-after": "0.05"})
        stop = Stopping(driver, made.id)
        await stop.asked()
        driver.lose()
        with pytest.raises(EngineUnreachableError):
            await stop.task
        driver.come_back()

        async def stopped() -> bool:
            return (await driver.get_resource(made.id)).state is ResourceState.STOPPED

        await eventually(stopped)


async def test_subscribe_calls_on_event_once_for_each_event_in_order():
    events: list[EngineEvent] = []
    async with MemoryDriver() as driver:
        first, second = await container(driver), await container(driver)
        async with driver.subscribe(events.append):
            await driver.pause(first.id)
            await driver.pause(second.id)
            await driver.stop(first.id, StopOptions(mode=StopMode.FORCE))
            await driver.update(first.id, container_update(name="other"))
            await driver.delete(first.id)
    assert events == [
        EngineEvent(id=first.id),
        EngineEvent(id=second.id),
        EngineEvent(id=first.id, ended=True),
        EngineEvent(id=first.id, reconfigured=True),
        EngineEvent(id=first.id, removed=True),
    ]


async def test_refused_call_publishes_no_event():
    async with MemoryDriver() as driver:
        made = await container(driver)
        async with EventQueue.of(driver) as events:
            with pytest.raises(ResourceAlreadyRunningError):
                await driver.start(made.id)
            with pytest.raises(AlreadyExistsError):
                await driver.create_container(ContainerSpec(image=IMAGE, name=made.name))
            await driver.update(made.id, container_update())
            await driver.pause(made.id)
            assert await anext(events) == EngineEvent(id=made.id)


async def test_stats_are_functions_of_the_time():
    now = 1000.0

    async def sample(driver: MemoryDriver, id: str) -> ResourceStats:
        return (await driver.stats([id]))[id]

    async with MemoryDriver(clock=lambda: now) as driver:
        made = await container(driver)
        assert (await sample(driver, made.id)).cpu_time == timedelta()
        now += 100
        used = await sample(driver, made.id)
        assert used.cpu_time == timedelta(seconds=5)
        assert used.network.receive_bytes == 100_000
        await driver.pause(made.id)
        now += 100
        frozen = await sample(driver, made.id)
        assert (frozen.cpu_time, frozen.block) == (used.cpu_time, used.block)
        await driver.resume(made.id)
        now += 100
        assert (await sample(driver, made.id)).cpu_time == timedelta(seconds=10)
        await driver.restart(made.id)
        assert (await sample(driver, made.id)).cpu_time == timedelta()
