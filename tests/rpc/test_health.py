"""grpc.health.v1: the health of each service follows the engines that it needs."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2

import grpc_services
from eventually import eventually

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NEEDS_BOXES = {"ContainerService", "ImageService"}
NEEDS_MACHINES = {"DomainService", "SnapshotService", "VolumeService"}
NEEDS_ANY = {"ResourceService"}
NEEDS_NONE = {"AuthService", "HostService"}


async def health_of(daemon, names):
    stub = grpc_services.health(daemon.channel)
    answers = {}
    for name in names:
        service = f"proa.v1.{name}" if name else ""
        answers[name] = (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status
    return answers


async def test_health_of_a_service_follows_its_engines(mixed, boxes, machines):
    every = NEEDS_BOXES | NEEDS_MACHINES | NEEDS_ANY | NEEDS_NONE | {""}

    async def shows(*lost):
        wanted = {name: NOT_SERVING if name in set().union(*lost) else SERVING for name in every}

        async def healthy():
            return await health_of(mixed, every) == wanted

        await eventually(healthy)

    await shows()
    boxes.mode = "lost"
    await shows(NEEDS_BOXES)
    machines.mode = "hung"
    await shows(NEEDS_BOXES, NEEDS_MACHINES, NEEDS_ANY)
    boxes.mode = "up"
    await shows(NEEDS_MACHINES)
    machines.mode = "up"
    await shows()


async def test_health_watch_reports_changes(mixed, boxes):
    request = health_pb2.HealthCheckRequest(service="proa.v1.ImageService")
    watch = grpc_services.health(mixed.channel).Watch(request)

    seen = []
    for mode in ("lost", "up", None):
        seen.append((await asyncio.wait_for(watch.read(), 30)).status)
        if mode:
            boxes.mode = mode
    watch.cancel()

    assert seen == [SERVING, NOT_SERVING, SERVING]


async def test_health_of_an_unknown_service_is_not_found(daemon):
    request = health_pb2.HealthCheckRequest(service="proa.v1.Nope")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_services.health(daemon.channel).Check(request)

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
