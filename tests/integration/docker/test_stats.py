"""Resource usage of containers, measured by the engine."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import docker
import pytest

from eventually import eventually
from integration.docker.workloads import DEAF, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.driver import environment_address
from proad.drivers.docker.http.api_version import ApiVersion
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.stats import ContainerStatsCollector
from proad.model import (
    ContainerResources,
    NetworkAttachment,
    ResourceKind,
    ResourceState,
    ResourceStats,
)

pytestmark = pytest.mark.docker

LIMIT = timedelta(seconds=60)
MIB = 2**20
BUSY = ("sh", "-c", "while :; do :; done")
# Write and read a file, to fill droppable page cache.
CACHING = ("sh", "-c", "dd if=/dev/zero of=/tmp/x bs=1M count=32; sync; echo ready; sleep 3600")


async def test_stats_of_busy_container_measures_cpu_time(driver: DockerDriver, make: Make):
    made = await make(*BUSY, resources=ContainerResources(cpus=0.5, memory_bytes=64 * MIB))
    samples: list[ResourceStats] = []

    async def second_passed() -> bool:
        samples.append((await driver.stats([made.id]))[made.id])
        return samples[-1].sample_time - samples[0].sample_time >= timedelta(seconds=1)

    await eventually(second_passed)
    first, second = samples[0], samples[-1]
    assert (second.id, second.kind) == (made.id, ResourceKind.CONTAINER)
    assert abs(second.sample_time - datetime.now(UTC)) < timedelta(seconds=5)
    passed = second.sample_time - first.sample_time
    assert 0.1 < (second.cpu_time - first.cpu_time) / passed < 0.75
    assert second.memory_limit_bytes == 64 * MIB
    assert 0 < second.memory_usage_bytes < 64 * MIB


async def test_stats_memory_excludes_page_cache(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(*CACHING)

    async def written() -> bool:
        return b"ready" in await asyncio.to_thread(raw.logs, made.id)

    await eventually(written)
    found = (await driver.stats([made.id]))[made.id]
    assert found.memory_usage_bytes < 16 * MIB < 32 * MIB
    assert found.memory_limit_bytes == raw.info()["MemTotal"]


async def test_stats_network_counts_packets(driver: DockerDriver, make: Make):
    ping = ("sh", "-c", "ping -c 5 -i 0.1 $(ip route | awk '/default/ {print $3}'); sleep 3600")
    made = await make(*ping, networks=(NetworkAttachment(network="bridge"),))

    async def sent() -> bool:
        return (await driver.stats([made.id]))[made.id].network.transmit_packets >= 5

    await eventually(sent)
    network = (await driver.stats([made.id]))[made.id].network
    assert network.receive_bytes > network.receive_packets > 0


async def test_stats_of_stopped_or_unknown_returns_nothing(driver: DockerDriver, make: Make):
    created, paused = await make(start=False), await make(*DEAF)
    await driver.pause(paused.id)
    ended = await make("true")

    async def stopped() -> bool:
        return (await driver.get_resource(ended.id)).state is ResourceState.STOPPED

    await eventually(stopped)
    asked = [created.id, paused.id, ended.id, "0" * 64, "proa-test-name"]
    assert set(await driver.stats(asked)) == {paused.id}
    assert await driver.stats([]) == {}


async def test_stats_of_many_containers_runs_in_parallel(driver: DockerDriver, make: Make):
    made = [await make(*DEAF) for _ in range(8)]
    started = time.monotonic()
    found = await driver.stats([each.id for each in made])
    assert set(found) == {each.id for each in made}
    assert time.monotonic() - started < 5  # in sequence, each would take a second


async def test_stats_with_old_api_returns_sample(make: Make):
    made = await make(*DEAF)
    url, cert_path = environment_address()
    with EngineClient(url, cert_path=cert_path, threads=1, timeout=LIMIT) as engine:
        engine.api.version = ApiVersion(1, 40)
        collector = ContainerStatsCollector(engine.streaming)
        with collector:
            assert set(await collector.stats([made.id])) == {made.id}
        assert engine.api.version == ApiVersion(1, 40)
