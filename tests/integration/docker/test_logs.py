"""Logs of containers of a real engine: many lines, odd lines, readers that stall, engines that go."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

import docker
import pytest

from eventually import eventually, settled
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import Make
from proad.drivers.docker import DockerDriver
from proad.errors import EngineUnreachableError, ResourceNotFoundError
from proad.model import (
    LONGEST_LINE,
    ContainerSpec,
    DeleteOptions,
    LogLine,
    LogOptions,
    NetworkAttachment,
    Resource,
    ResourceState,
)

pytestmark = pytest.mark.docker

MANY = 300_000


async def read(driver: DockerDriver, id: str, **options: Any) -> list[LogLine]:
    async with driver.read_log(id, LogOptions(**options)) as batches:
        return [line async for lines in batches for line in lines]


async def first(batches: AsyncIterator[Sequence[LogLine]]) -> Sequence[LogLine]:
    async with asyncio.timeout(60):
        while not (lines := await anext(batches)):
            pass
    return lines


async def ended(driver: DockerDriver, made: Resource) -> Resource:
    async def stopped() -> bool:
        return (await driver.get_resource(made.id)).state is ResourceState.STOPPED

    await eventually(stopped, within=120)
    return made


async def test_log_of_many_lines_is_whole_and_in_order(driver: DockerDriver, make: Make):
    box = await ended(driver, await make("seq", str(MANY)))
    lines = await read(driver, box.id)
    assert [line.data for line in lines] == [b"%d" % each for each in range(1, MANY + 1)]

    timed = await read(driver, box.id, timestamps=True)
    assert [line._replace(time=None) for line in timed] == lines
    times = [line.time or 0 for line in timed]
    assert times == sorted(times)
    assert times[0] > 10**18


async def test_log_of_odd_lines_is_as_the_engine_has_it(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    script = (
        "echo; echo ' 2026-11-26T00:00:00Z '; printf 'a\\rb\\000c\\n'; head -c 70000 /dev/urandom;"
        f"head -c {LONGEST_LINE} /dev/zero; echo; head -c {3 * LONGEST_LINE} /dev/zero; printf end"
    )
    box = await ended(driver, await make("sh", "-c", script))
    whole = raw.logs(box.id)
    for options in ({}, {"timestamps": True}, {"follow": True}):
        lines = await read(driver, box.id, **options)
        assert all(len(line.data) <= LONGEST_LINE for line in lines)
        assert b"".join(line.data + b"\n" * (not line.partial) for line in lines) == whole


async def test_log_that_nobody_reads_is_not_read_ahead(driver: DockerDriver, make: Make):
    line = "a line of a log, as there are many of it"
    box = await ended(driver, await make("sh", "-c", f"yes '{line}' | head -c 100000000"))
    async with driver.read_log(box.id, LogOptions(follow=True)) as batches:
        threads, before = threading.active_count(), resident()
        await first(batches)
        await settled(lambda: resident() // 2**20)
        assert resident() - before < 16 * 2**20
        assert threading.active_count() <= threads


def resident() -> int:
    """Return the bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_logs_leave_no_connection_behind(driver: DockerDriver, box: Resource):
    await read(driver, box.id)

    def sockets() -> int:
        found = 0
        for each in Path("/proc/self/fd").iterdir():
            try:
                found += str(each.readlink()).startswith("socket:")
            except FileNotFoundError:
                continue
        return found

    before = sockets()
    for _ in range(50):
        reading = asyncio.ensure_future(read(driver, box.id, follow=True))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        async with driver.read_log(box.id, LogOptions(follow=True)):
            pass

    async def closed() -> bool:
        return sockets() <= before + 4  # connections that are kept for the next calls

    await eventually(closed)


async def test_log_of_what_is_deleted_ends(driver: DockerDriver, make: Make):
    box = await make("sh", "-c", "echo up; sleep 1000")
    async with driver.read_log(box.id, LogOptions(follow=True)) as batches:
        assert (await first(batches))[0].data == b"up"
        await driver.delete(box.id, DeleteOptions(force=True))
        async with asyncio.timeout(60):
            assert not [line async for lines in batches for line in lines]
    with pytest.raises(ResourceNotFoundError):
        await read(driver, box.id)


@pytest.mark.parametrize("log_driver", ["json-file", "local"])
async def test_log_goes_on_from_the_time_of_its_last_line(
    driver: DockerDriver, make: Make, log_driver: str
):
    box = await ended(driver, await make("seq", "1000", log_driver=log_driver))
    lines = await read(driver, box.id, timestamps=True)
    assert [line.data for line in lines] == [b"%d" % each for each in range(1, 1001)]

    middle = (lines[500].time or 0) // 1000
    since = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=middle)
    rest = await read(driver, box.id, timestamps=True, since=since)
    assert rest == lines[len(lines) - len(rest) :]
    assert set(lines[500:]) <= set(rest)
    assert all((line.time or 0) // 1000 >= middle for line in rest)


@pytest.mark.timeout(180)
async def test_log_breaks_off_with_its_engine(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url) as driver:
        await eventually(lambda: engine.answers(driver), within=60)
        await engine.import_image()
        spec = ContainerSpec(
            image="proa-test/busybox:1",
            command=("sh", "-c", "echo up; sleep 1000"),
            networks=(NetworkAttachment(network="none"),),
        )
        box = (await driver.create_container(spec, start=True)).resource
        async with driver.read_log(box.id, LogOptions(follow=True)) as batches:
            assert (await first(batches))[0].data == b"up"
            engine.signal(SIGKILL)
            async with asyncio.timeout(60):
                with pytest.raises(EngineUnreachableError):
                    await first(batches)
