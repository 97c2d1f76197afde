"""A private libvirtd that is absent, dies, hangs and returns."""

import asyncio
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import libvirt
import pytest

from event_queue import EventQueue
from eventually import eventually
from integration.libvirt.call_counter import CallCounter
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.connections.bulkheads import READERS
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import (
    DeleteOptions,
    DomainSpec,
    EngineEvent,
    Resource,
    ResourceState,
    StopMode,
    StopOptions,
)
from updating import domain_update

pytestmark = pytest.mark.libvirt

SOME_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[PrivateLibvirtd]:
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        libvirtd = PrivateLibvirtd(Path(name))
        yield libvirtd
        libvirtd.stop()


@pytest.fixture
async def driver(libvirtd: PrivateLibvirtd) -> AsyncIterator[LibvirtDriver]:
    async with LibvirtDriver(libvirtd.uri, virt_type="qemu") as driver:
        yield driver


async def answering(driver: LibvirtDriver, libvirtd: PrivateLibvirtd) -> None:
    async def answers() -> bool:
        try:
            await driver.probe()
        except (EngineUnreachableError, EngineTimedOutError):
            return False
        return True

    try:
        await eventually(answers, within=30)
    except TimeoutError:
        pytest.fail(libvirtd.log())


async def domain(driver: LibvirtDriver, **fields: object) -> Resource:
    spec = DomainSpec(
        name="proa-test",
        memory_bytes=32 * 2**20,
        diskless=True,
        networkless=True,
        labels={"a": "1"},
        **fields,  # type: ignore[arg-type] # typed by DomainSpec
    )
    return await driver.create_domain(spec, start=True)


async def test_call_without_libvirtd_is_unreachable(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    for call in (driver.probe(), driver.list_resources(), driver.get_resource(SOME_ID)):
        begin = time.monotonic()
        with pytest.raises(EngineUnreachableError):
            await call
        assert time.monotonic() - begin < 5


async def test_call_after_libvirtd_was_killed_and_restarted_works(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    libvirtd.start()
    await answering(driver, libvirtd)
    made = await domain(driver)
    assert [each.labels for each in await driver.list_resources()] == [{"a": "1"}]
    libvirtd.signal(signal.SIGKILL)
    for call in (driver.probe(), driver.list_resources(), driver.pause(made.id)):
        begin = time.monotonic()
        with pytest.raises(EngineUnreachableError):
            await call
        assert time.monotonic() - begin < 5
    libvirtd.start()
    await answering(driver, libvirtd)
    after = await driver.get_resource(made.id)
    assert after.state is ResourceState.RUNNING  # the workload has survived
    assert after.domain is not None
    assert made.domain is not None
    assert after.domain.runtime_id == made.domain.runtime_id
    # Events arrive again: what another client changes is in the next list, though
    # the list before was answered from what was noted.
    assert [each.labels for each in await driver.list_resources()] == [{"a": "1"}]
    async with LibvirtDriver(libvirtd.uri) as other:
        await other.update(made.id, domain_update(labels={"a": "2"}))

    async def seen() -> bool:
        return [each.labels for each in await driver.list_resources()] == [{"a": "2"}]

    await eventually(seen)
    await driver.delete(made.id, DeleteOptions(force=True))


async def test_call_after_a_restart_between_two_calls_works(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    libvirtd.start()
    await answering(driver, libvirtd)
    libvirtd.signal(signal.SIGKILL)
    libvirtd.start()
    async with LibvirtDriver(libvirtd.uri) as other:
        await answering(other, libvirtd)
    assert await driver.list_resources() == []  # without an error or a probe in between


async def test_call_while_libvirtd_hangs_is_unreachable_within_seconds(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    libvirtd.start()
    await answering(driver, libvirtd)
    made = await domain(driver)
    grace = timedelta(seconds=30)
    asked = asyncio.Event()
    options = StopOptions(mode=StopMode.GRACEFUL, grace_period=grace)
    stop = asyncio.create_task(driver.stop(made.id, options, on_step=lambda *_: asked.set()))
    await asked.wait()
    libvirtd.signal(signal.SIGSTOP)
    for _ in range(2):  # on the old connection, and on a new one
        begin = time.monotonic()
        calls = (driver.list_resources(), driver.probe(), driver.get_resource(made.id))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - begin < 5
        for answer in answers:
            assert isinstance(answer, EngineUnreachableError | EngineTimedOutError)
    with pytest.raises((EngineUnreachableError, EngineTimedOutError)):
        await stop
    libvirtd.signal(signal.SIGCONT)
    await answering(driver, libvirtd)
    assert (await driver.get_resource(made.id)).state is ResourceState.RUNNING
    await driver.delete(made.id, DeleteOptions(force=True))


async def lost_within(events: AsyncIterator[EngineEvent], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        with pytest.raises(EngineUnreachableError):
            async for _ in events:
                pass


async def test_subscribe_without_libvirtd_is_unreachable(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    libvirtd.stop()
    with pytest.raises(EngineUnreachableError):
        async with EventQueue.of(driver):
            pass


async def test_subscribe_ends_when_libvirtd_dies_or_hangs(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    libvirtd.start()
    await answering(driver, libvirtd)
    async with EventQueue.of(driver) as events, EventQueue.of(driver) as other:
        libvirtd.signal(signal.SIGKILL)
        await lost_within(events, 2.5)  # sooner than by the keepalive, which takes 3 seconds
        await lost_within(other, 2.5)
    libvirtd.start()
    await answering(driver, libvirtd)
    async with EventQueue.of(driver) as events:
        libvirtd.signal(signal.SIGSTOP)
        await lost_within(events, 6)
        with pytest.raises((EngineUnreachableError, EngineTimedOutError)):
            async with EventQueue.of(driver):
                pass
    libvirtd.signal(signal.SIGCONT)
    await answering(driver, libvirtd)
    async with EventQueue.of(driver) as events:
        made = await domain(driver)
        async with asyncio.timeout(30):
            assert (await anext(events)).id == made.id
        await driver.delete(made.id, DeleteOptions(force=True))


async def test_losses_leak_no_descriptors_and_threads(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd
):
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    async def round_of_life() -> None:
        libvirtd.start()
        await answering(driver, libvirtd)
        async with EventQueue.of(driver) as events:
            # Each thread has a connection of its own.
            await asyncio.gather(*(driver.list_resources() for _ in range(20)))
            libvirtd.signal(signal.SIGKILL)
            await lost_within(events, 2)

    for _ in range(4):
        await round_of_life()
    descriptors, threads = held()
    for _ in range(20):
        await round_of_life()
    # A thread closes its old connection at its next call.
    more = 3 * READERS

    async def let_go() -> bool:
        """Return whether the threads that close the last driver's connections have ended."""
        return held()[0] <= descriptors + more and held()[1] <= threads + 1

    await eventually(let_go)


async def test_exit_while_libvirtd_hangs_takes_no_time(libvirtd: PrivateLibvirtd):
    libvirtd.start()
    async with LibvirtDriver(libvirtd.uri) as driver:
        await answering(driver, libvirtd)
        libvirtd.signal(signal.SIGSTOP)
        call = asyncio.create_task(driver.list_resources())
        await asyncio.sleep(0)  # the call begins
        begin = time.monotonic()
    assert time.monotonic() - begin < 4
    with pytest.raises((EngineUnreachableError, EngineTimedOutError)):
        await call
    libvirtd.signal(signal.SIGCONT)


async def test_list_of_many_domains_makes_as_many_calls_as_of_few(
    driver: LibvirtDriver, libvirtd: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
):
    libvirtd.start()
    await answering(driver, libvirtd)
    counter = CallCounter(libvirt.libvirtmod)
    monkeypatch.setattr(libvirt, "libvirtmod", counter)

    async def cost_of_list() -> int:
        before = len(counter.calls)
        await driver.list_resources()
        return len(counter.calls) - before

    made = []
    for number, total in ((0, 2), (2, 22)):
        for each in range(number, total):
            spec = DomainSpec(
                name=f"proa-test-{each}",
                memory_bytes=32 * 2**20,
                diskless=True,
                networkless=True,
                labels={"number": str(each)},
            )
            made.append(await driver.create_domain(spec))

        async def at_rest() -> bool:
            """Once what is noted on them was asked for, and the events of creation are through."""
            return await cost_of_list() == 5

        await eventually(at_rest)
    assert len(await driver.list_resources()) == len(made) == 22
    for resource in made:
        await driver.delete(resource.id)


async def test_ownership_after_a_restart_without_a_firmware_uuid_is_kept(
    libvirtd: PrivateLibvirtd, tmp_path: Path
):
    """Without a UUID in the firmware, libvirtd generates another at each start."""
    name = f"proa-test-{secrets.token_hex(4)}"
    async with LibvirtDriver(
        libvirtd.uri, virt_type="qemu", default_pool=name, default_pool_path=str(tmp_path / "pool")
    ) as driver:
        libvirtd.start()
        await answering(driver, libvirtd)
        made = await driver.create_domain(
            DomainSpec(name=name, memory_bytes=32 * 2**20, networkless=True)
        )
        libvirtd.signal(signal.SIGKILL)
        libvirtd.start()
        await answering(driver, libvirtd)
        shown = (await driver.get_resource(made.id)).domain
        assert shown is not None
        assert [disk.owned for disk in shown.disks] == [True]
        await driver.delete(made.id)
        assert await driver.list_volumes(name) == []
