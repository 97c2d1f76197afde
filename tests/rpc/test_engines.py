"""Engines that are lost, hang, return, or lack a capability."""

import asyncio
import time
from typing import Any

import grpc
import pytest

from eventually import eventually
from proa import v1
from proad.core.engine_connection import ProbeTiming
from proad.timing import DaemonTiming
from rpc.daemon import IMAGE, Refusal, changing, refusal

UNPROBED = DaemonTiming(probes=ProbeTiming(probe_interval=3600))
"""No probe by itself after the first."""


async def known_as(daemon, driver, health):
    """Wait until GetHost reports a state of an engine."""

    async def reported():
        host = (await daemon.call("GetHost")).host
        (engine,) = [engine for engine in host.engines if engine.ref.driver == driver]
        return engine.health == v1.EngineHealth.Value(f"ENGINE_HEALTH_{health}")

    await eventually(reported)


@pytest.mark.parametrize("mode", ["lost", "hung"])
async def test_engine_lost_fails_its_own_calls_alone(mixed, boxes, mode):
    boxes.mode = mode
    await known_as(mixed, "boxes", "UNREACHABLE")

    requests: dict[str, dict[str, Any]] = {
        "ListResources": {},
        "GetResource": {"id": "web"},
        "StopResource": {"id": "container/web"},
        "ListImages": {},
        "DeleteImage": {"image": "x:1"},
        "CreateContainer": {"spec": {"image": IMAGE}},
        "PruneContainers": {},
        "LoginRegistry": {"username": "a", "password": "b"},
    }
    for call, request in requests.items():
        refused = await refusal(mixed.call(call, **request))
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENGINE_UNREACHABLE"), call
        assert "boxes" in refused.metadata["engine"]
        assert refused.retry_after == 2
        assert "secret" not in repr(refused)
    assert await mixed.state("vm") == "RUNNING"
    assert await mixed.state("domain/vm") == "RUNNING"
    await mixed.call("PauseResource", id="vm")
    await mixed.call("CreateVolume", spec={"name": "v", "capacity_bytes": 2**20})
    assert await mixed.names(filter={"kinds": ["RESOURCE_KIND_DOMAIN"]}) == ["vm"]

    boxes.mode = "up"

    await known_as(mixed, "boxes", "SERVING")
    assert await mixed.names() == ["vm", "web"]
    await mixed.call("PauseResource", id="web")


async def test_pull_engine_lost_is_unavailable(mixed, boxes):
    boxes.mode = "lost"

    refused = await refusal(mixed.call("PullImage", image="a:1").read())

    assert refused.reason == "ENGINE_UNREACHABLE"


async def test_list_return_partial_success_names_the_unreachable_engine(mixed, boxes, machines):
    request = {"return_partial_success": True}
    assert not (await mixed.call("ListResources", **request)).unreachable

    boxes.mode = "lost"
    answer = await mixed.call("ListResources", **request)
    assert [r.name for r in answer.resources] == ["vm"]
    assert [engine.driver for engine in answer.unreachable] == ["boxes"]

    boxes.mode = "slow"
    answer = await mixed.call("ListResources", **request)
    assert [engine.driver for engine in answer.unreachable] == ["boxes"]
    domains = {"kinds": ["RESOURCE_KIND_DOMAIN"]}
    assert not (await mixed.call("ListResources", filter=domains, **request)).unreachable

    machines.mode = "lost"
    answer = await mixed.call("ListResources", **request)
    assert (len(answer.resources), len(answer.unreachable)) == (0, 2)

    boxes.mode = machines.mode = "up"
    await known_as(mixed, "boxes", "SERVING")
    await known_as(mixed, "machines", "SERVING")
    answer = await mixed.call("ListResources", **request)
    assert (
        [r.name for r in answer.resources],
        [engine.driver for engine in answer.unreachable],
    ) == (["vm", "web"], [])


async def test_call_on_two_lost_engines_names_both(mixed, boxes, machines):
    boxes.mode = machines.mode = "lost"
    await known_as(mixed, "boxes", "UNREACHABLE")
    await known_as(mixed, "machines", "UNREACHABLE")

    for call, request in (
        ("ListResources", {}),
        ("ListResources", {"view": "RESOURCE_VIEW_FULL"}),
        ("GetResource", {"id": "nope"}),
        ("PauseResource", {"id": "local/domain/vm"}),
    ):
        refused = await refusal(mixed.call(call, **request))
        named = ["machines"] if "domain" in str(request) else ["boxes", "machines"]
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENGINE_UNREACHABLE")
        assert refused.metadata == {"engine": ",".join(named), "host": "local"}
        assert [name for name in ("boxes", "machines") if name in refused.message] == named
        assert refused.retry_after == 2
    answer = await mixed.call("ListResources", return_partial_success=True)
    assert [engine.driver for engine in answer.unreachable] == ["boxes", "machines"]


async def test_list_full_engines_lost_meanwhile_names_both(mixed, boxes, machines):
    """The engines are lost between the list and the views."""
    for engine in (boxes, machines):

        async def switch(method, engine=engine, before=engine.switch):
            if method == "get_resource":
                engine.mode = "lost"
            await before(method)

        engine.switch = switch

    refused = await refusal(mixed.call("ListResources", view="RESOURCE_VIEW_FULL"))

    assert set(refused.metadata["engine"].split(",")) == {"boxes", "machines"}


async def test_list_full_view_that_fails_shows_the_summary(mixed, boxes):
    """A driver's fault does not make the engine unreachable, nor a resource disappear."""
    original = boxes.switch

    async def switch(method):
        if method == "get_resource":
            raise RuntimeError("the secret of the engine")
        await original(method)

    boxes.switch = switch

    answer = await mixed.call(
        "ListResources", view="RESOURCE_VIEW_FULL", return_partial_success=True
    )

    assert (
        [r.name for r in answer.resources],
        [engine.driver for engine in answer.unreachable],
    ) == (["vm", "web"], [])
    assert "secret" not in str(answer)


async def test_get_unknown_id_while_engine_is_lost_is_unavailable(mixed, boxes):
    boxes.mode = "lost"

    assert (await refusal(mixed.call("GetResource", id="nope"))).reason == "ENGINE_UNREACHABLE"
    assert (
        await refusal(mixed.call("GetResource", id="domain/nope"))
    ).reason == "RESOURCE_NOT_FOUND"
    for id in ("nope", "web"):
        request = {"id": id, "allow_missing": True}
        assert (
            await refusal(mixed.call("DeleteResource", **request))
        ).reason == "ENGINE_UNREACHABLE"


async def test_probe_that_raises_marks_the_engine_unreachable(mixed, machines):
    machines.mode = "broken"
    await known_as(mixed, "machines", "UNREACHABLE")
    host = (await mixed.call("GetHost")).host
    assert "secret" not in host.engines[1].health_message

    machines.mode = "up"

    await known_as(mixed, "machines", "SERVING")


async def test_engine_slow_answers_timed_out_without_retry(serve, machines):
    daemon = await serve(("local", machines), timing=UNPROBED)
    machines.mode = "slow"

    refused = await refusal(daemon.call("CreateVolume", spec={"name": "v", "capacity_bytes": 1}))

    assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "ENGINE_TIMED_OUT")
    assert refused.retry_after is None


async def test_call_that_fails_probes_the_engine_at_once(serve, boxes, machines):
    daemon = await serve(("local", boxes), ("local", machines), timing=UNPROBED)
    boxes.mode = "lost"

    await refusal(daemon.call("ListImages"))

    await known_as(daemon, "boxes", "UNREACHABLE")


async def test_engine_hung_is_unreachable_within_five_seconds(serve, boxes, machines):
    """With the default timing of the probes, which a busy machine may be slower than."""
    default = ProbeTiming()
    assert default.probe_interval + default.probe_timeout < 5
    daemon = await serve(("local", boxes), ("local", machines))
    await daemon.container("web")
    await daemon.domain("vm")
    boxes.mode = "hung"
    began = time.monotonic()
    stuck = asyncio.ensure_future(refusal(daemon.call("ListImages")))
    # The engine has received the verb, so that its outcome is unknown.
    open_ended = asyncio.ensure_future(refusal(daemon.call("PauseResource", id="web", timeout=3)))

    refused = None
    while refused is None:
        beside = time.monotonic()
        assert await daemon.names(filter={"kinds": ["RESOURCE_KIND_DOMAIN"]}) == ["vm"]
        assert await daemon.state("domain/vm") == "RUNNING"
        try:  # the last known state, until the loss is detected
            assert await daemon.names() == ["vm", "web"]
        except grpc.aio.AioRpcError as error:
            refused = Refusal.of(error)
        assert time.monotonic() - beside < 2.4  # callers that wait for the probe wait longer
        await asyncio.sleep(0.1)

    assert time.monotonic() - began < 15
    assert [r.reason for r in (refused, await stuck)] == ["ENGINE_UNREACHABLE"] * 2
    assert (await open_ended).reason == "ENGINE_TIMED_OUT"
    again = time.monotonic()
    for call, request in (
        ("ListResources", {}),
        ("GetResource", {"id": "web"}),
        ("PauseResource", {"id": "web"}),
        ("ListImages", {}),
    ):
        assert (await refusal(daemon.call(call, **request))).reason == "ENGINE_UNREACHABLE"
    partial = await daemon.call("ListResources", return_partial_success=True)
    assert [engine.driver for engine in partial.unreachable] == ["boxes"]
    assert time.monotonic() - again < 2.4


async def test_daemon_starts_while_engines_are_lost(serve, quick, boxes):
    boxes.mode = "lost"
    daemon = await serve(("local", boxes), timing=quick)
    (engine,) = (await daemon.call("GetHost")).host.engines
    assert (engine.health, engine.version) == (v1.ENGINE_HEALTH_UNREACHABLE, "")
    assert "connection refused" in engine.health_message

    boxes.mode = "up"

    await known_as(daemon, "boxes", "SERVING")
    (engine,) = (await daemon.call("GetHost")).host.engines
    assert (engine.version, engine.health_message) == ("1", "")
    assert await daemon.container("web")


async def test_get_host_describes_its_engines(mixed):
    answer = await mixed.call("GetHost", host="local")

    assert answer.host.cpus > 0
    assert answer.host.memory_bytes > 2**20
    first, second = answer.host.engines
    assert (first.ref.driver, first.endpoint) == ("boxes", "imitated:boxes")
    assert list(first.kinds) == [v1.RESOURCE_KIND_CONTAINER]
    assert list(first.capabilities) == [v1.CAPABILITY_CONTAINERS, v1.CAPABILITY_IMAGES]
    assert set(second.capabilities) == {
        v1.CAPABILITY_DOMAINS,
        v1.CAPABILITY_SNAPSHOTS,
        v1.CAPABILITY_VOLUMES,
        v1.CAPABILITY_UPDATE,
        v1.CAPABILITY_SAVE,
    }
    assert first.warnings
    assert first.health_change_time.seconds > 0


async def test_call_without_the_capability_names_it(serve, boxes):
    daemon = await serve(("local", boxes))
    await daemon.container("web")
    boxes.asked.clear()

    for call, request, capability in (
        ("CreateDomain", {"spec": {"name": "vm", "memory_bytes": 2**26}}, "domains"),
        ("CreateDomainFromXml", {"xml": "<domain/>"}, "domains"),
        ("GetDomainXml", {"id": "web"}, "domains"),
        ("ListVolumes", {}, "volumes"),
        ("CreateVolume", {"spec": {"name": "v", "capacity_bytes": 1}}, "volumes"),
        ("DeleteVolume", {"name": "v"}, "volumes"),
        ("ListSnapshots", {"id": "web"}, "snapshots"),
        ("GetSnapshot", {"id": "web", "name": "s"}, "snapshots"),
        ("CreateSnapshot", {"id": "web", "name": "s"}, "snapshots"),
        ("RevertSnapshot", {"id": "web", "name": "s"}, "snapshots"),
        ("DeleteSnapshot", {"id": "web", "name": "s"}, "snapshots"),
        ("UpdateResource", {"id": "web", **changing("container", name="new")}, "updates"),
        ("StopResource", {"id": "web", "mode": "STOP_MODE_SAVE"}, "stop mode SAVE"),
    ):
        refused = await refusal(daemon.call(call, **request))
        assert (refused.code, refused.reason) == ("UNIMPLEMENTED", "CAPABILITY_MISSING"), call
        assert refused.metadata["capability"] == capability
    assert set(boxes.asked) <= {"list_resources", "get_resource", "probe"}


async def test_call_capability_of_the_second_engine_is_used(mixed, boxes, machines):
    """Calls that name no resource go to the engine of the host that can."""
    boxes.asked.clear()
    machines.asked.clear()

    await mixed.call("ListVolumes")
    await mixed.call("ListImages")

    assert "list_volumes" in machines.asked
    assert "list_images" in boxes.asked


async def test_get_id_of_a_domain_on_a_lost_engine_is_not_the_container_of_that_name(
    mixed, machines
):
    """Otherwise, the owner of a container could receive calls meant for the domain."""
    vm = (await mixed.call("GetResource", id="vm")).resource
    twin = await mixed.container(vm.id)
    for id in (vm.id, vm.id.replace("-", "")):
        assert (await mixed.call("GetResource", id=id)).resource.kind == v1.RESOURCE_KIND_DOMAIN
    machines.mode = "lost"
    await known_as(mixed, "machines", "UNREACHABLE")

    for call in ("GetResource", "StopResource", "DeleteResource"):
        refused = await refusal(mixed.call(call, id=vm.id))
        assert (refused.reason, refused.metadata["engine"]) == ("ENGINE_UNREACHABLE", "machines")
    assert (await mixed.call("GetResource", id=f"container/{vm.id}")).resource.id == twin.id
