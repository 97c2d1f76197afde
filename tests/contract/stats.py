"""Obligations of `Stats`."""

from datetime import UTC, datetime, timedelta

from contract.harness import FORCE, DriverHarness
from contract.lifecycle import unknown_id
from eventually import eventually
from proad.model import EngineRef, ResourceStats
from proad.ports import Stats


def stats_of(harness: DriverHarness) -> Stats:
    assert isinstance(harness.driver, Stats)
    return harness.driver


class StatsContract:
    async def test_stats_inactive_resource_has_no_sample(self, harness: DriverHarness):
        running, stopped = await harness.running(), await harness.make()
        paused = await harness.make(start=True)
        await harness.driver.pause(paused.id)
        ids = [running.id, stopped.id, unknown_id(harness.kind), paused.id]
        samples = await stats_of(harness).stats(ids)
        assert set(samples) == {running.id, paused.id}
        await harness.driver.stop(running.id, FORCE)
        assert await stats_of(harness).stats([running.id]) == {}
        assert await stats_of(harness).stats([]) == {}

    async def test_stats_sample_has_plausible_values(self, harness: DriverHarness):
        resource = await harness.running()
        sample = await self._sample(harness, resource.id)
        assert (sample.id, sample.kind) == (resource.id, harness.kind)
        # These are the core's to fill in.
        assert (sample.name, sample.engine, sample.cpu_percent) == ("", EngineRef(), None)
        assert abs(datetime.now(UTC) - sample.sample_time) < timedelta(seconds=10)
        assert sample.memory_usage_bytes > 0
        assert sample.memory_limit_bytes > 0
        if resource.domain is not None:
            assert sample.memory_limit_bytes == resource.domain.memory_bytes

    async def test_stats_counters_grow(self, harness: DriverHarness):
        resource = await harness.running()
        before = await self._sample(harness, resource.id)
        after = before

        async def counted() -> bool:
            nonlocal after
            after = await self._sample(harness, resource.id)
            assert after.sample_time > before.sample_time
            assert after.cpu_time >= before.cpu_time
            return after.cpu_time > before.cpu_time

        await eventually(counted, every=0.2)
        # Never more than all processors together.
        assert after.cpu_time - before.cpu_time < 64 * (after.sample_time - before.sample_time)
        assert after.block.read_bytes >= before.block.read_bytes
        assert after.network.receive_bytes >= before.network.receive_bytes

    async def test_stats_paused_resource_uses_no_processor(self, harness: DriverHarness):
        resource = await harness.running()
        await harness.driver.pause(resource.id)
        before = await self._sample(harness, resource.id)
        after = before

        async def later() -> bool:
            nonlocal after
            after = await self._sample(harness, resource.id)
            return after.sample_time - before.sample_time > timedelta(seconds=0.5)

        await eventually(later)
        # The engine's own work for the workload may be counted.
        assert after.cpu_time - before.cpu_time < timedelta(seconds=0.1)

    async def _sample(self, harness: DriverHarness, id: str) -> ResourceStats:
        return (await stats_of(harness).stats([id]))[id]
