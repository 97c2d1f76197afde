"""StreamStats over the wire."""

import asyncio
from typing import Any

import pytest

from eventually import eventually
from proa import v1
from proad.core.stats_service import StatsStreamTiming
from proad.drivers.memory import MemoryDriver
from proad.timing import DaemonTiming
from rpc.daemon import refusal
from rpc.engines import container_engine

SAMPLE_AGE = 0.2


class Counting(MemoryDriver):
    """Counts the requests for samples."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    async def stats(self, ids):
        self.asked += 1
        return await super().stats(ids)


@pytest.fixture
async def daemon(serve):
    return await serve(
        ("local", Counting()), timing=DaemonTiming(stats=StatsStreamTiming(sample_age=SAMPLE_AGE))
    )


async def batches(daemon, number, **request):
    """The first answers that have samples."""
    call = daemon.call("StreamStats", **request)
    found: list[Any] = []
    while len(found) < number:
        response = await asyncio.wait_for(call.read(), 30)
        assert response, "it ended"
        if response.stats:
            found.append({s.name: s for s in response.stats})
    call.cancel()
    return found


async def test_stream_stats_both_kinds_have_one_shape(daemon):
    web = await daemon.container("web", resources={"memory_bytes": 2**28})
    vm = await daemon.domain("vm")
    await daemon.container("idle", start=False)

    first, second = await batches(daemon, 2)

    assert set(first) == set(second) == {"web", "vm"}
    for resource in (web, vm):
        one, two = first[resource.name], second[resource.name]
        assert (one.id, one.kind, one.engine.host) == (resource.id, resource.kind, "local")
        assert not one.HasField("cpu_percent")
        assert two.cpu_percent == pytest.approx(5, abs=3)  # the values that MemoryStats generates
        assert two.cpu_time.ToTimedelta() > one.cpu_time.ToTimedelta()
        assert two.sample_time.ToDatetime() > one.sample_time.ToDatetime()
        assert 0 < one.memory_usage_bytes <= one.memory_limit_bytes
    assert first["web"].memory_limit_bytes == 2**28
    assert first["vm"].memory_limit_bytes == vm.domain.memory_bytes


async def test_stream_stats_ids_returns_these_alone(daemon):
    web = await daemon.container("web")
    await daemon.container("other")
    await daemon.domain("vm")

    (batch,) = await batches(daemon, 1, ids=[web.id[:8], "domain/vm"])

    assert set(batch) == {"web", "vm"}


async def test_stream_stats_ids_that_do_not_run_are_missing_with_a_reason(daemon):
    await daemon.container("web")
    idle = await daemon.container("idle", start=False)
    vm = await daemon.domain("vm", start=False)
    call = daemon.call("StreamStats", ids=["web", "idle", "vm"])
    while not (response := await asyncio.wait_for(call.read(), 30)).stats:
        pass
    call.cancel()

    assert [sample.name for sample in response.stats] == ["web"]
    found = {(one.id, one.kind, one.name, one.engine.host, one.reason) for one in response.missing}
    assert found == {
        (one.id, one.kind, one.name, "local", v1.MISSING_SAMPLE_REASON_NOT_ACTIVE)
        for one in (idle, vm)
    }
    assert all("STOPPED" in one.message for one in response.missing)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"ids": [""]}, "ids"),
        ({"ids": ["nope/x/y/z"]}, "id"),
        ({"interval": {"nanos": 1000}}, "interval"),
        ({"interval": {"seconds": 3601}}, "interval"),
    ],
    ids=str,
)
async def test_stream_stats_bad_request_is_refused(daemon, request_, field):
    refused = await refusal(daemon.call("StreamStats", **request_).read())

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert refused.fields[0].startswith(field)


async def test_stream_stats_unknown_id_is_not_found(daemon):
    refused = await refusal(daemon.call("StreamStats", ids=["nope"]).read())

    assert (refused.code, refused.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_stream_stats_resource_deleted_meanwhile_ends_with_not_found(daemon):
    await daemon.container("web")
    call = daemon.call("StreamStats", ids=["web"])
    assert (await call.read()).stats
    await daemon.call("DeleteResource", id="web", force=True)

    async def read():
        while await call.read():
            pass

    refused = await asyncio.wait_for(refusal(read()), 30)
    assert refused.reason == "RESOURCE_NOT_FOUND"


async def test_stream_stats_engine_lost_is_unavailable(daemon):
    await daemon.container("web")
    daemon.driver.lose()

    refused = await refusal(daemon.call("StreamStats", ids=["web"]).read())

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENGINE_UNREACHABLE")


async def test_stream_stats_engine_without_capability_is_unimplemented(serve):
    daemon = await serve(("local", container_engine()))
    await daemon.container("web")

    for request in ({}, {"ids": ["web"]}):
        refused = await refusal(daemon.call("StreamStats", **request).read())
        assert (refused.code, refused.reason) == ("UNIMPLEMENTED", "CAPABILITY_MISSING")


async def test_stream_stats_of_many_callers_asks_the_engine_once(daemon):
    await daemon.container("web")
    loop = asyncio.get_running_loop()
    began = loop.time()

    await asyncio.gather(*(batches(daemon, 2) for _ in range(30)))

    assert daemon.driver.asked <= (loop.time() - began) / SAMPLE_AGE + 2


async def test_stream_stats_caller_that_goes_away_is_not_sampled_for(daemon):
    await daemon.container("web")
    await batches(daemon, 1)

    async def quiet():
        """Return whether no sample is requested for three times its maximum age."""
        asked = daemon.driver.asked
        await asyncio.sleep(3 * SAMPLE_AGE)
        return daemon.driver.asked == asked

    await eventually(quiet)  # the daemon learns of the cancellation a moment later


async def test_get_host_has_the_stats_capability(daemon):
    (engine,) = (await daemon.call("GetHost")).host.engines

    assert v1.CAPABILITY_STATS in engine.capabilities


async def test_stats_of_a_filter_include_what_comes_later(daemon):
    web, _ = await daemon.container("web", labels={"tier": "a"}), await daemon.container("other")
    await daemon.domain("vm", labels={"tier": "a"})
    request = {"labels": {"tier": "a"}, "kinds": ["RESOURCE_KIND_CONTAINER"]}
    call = daemon.call("StreamStats", filter=request)

    assert {one.name for one in (await call.read()).stats} == {"web"}
    late = await daemon.container("late", labels={"tier": "a"})
    async with asyncio.timeout(30):
        while {one.id for one in (await call.read()).stats} != {web.id, late.id}:
            pass
    call.cancel()


async def test_stats_of_ids_and_a_filter_are_refused(daemon):
    await daemon.container("web")

    refused = await refusal(daemon.call("StreamStats", ids=["web"], filter={}).read())
    unknown = await refusal(daemon.call("StreamStats", filter={"hosts": ["nope"]}).read())

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["filter"])
    assert unknown.reason == "HOST_NOT_FOUND"
