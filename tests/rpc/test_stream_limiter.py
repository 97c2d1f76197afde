"""Public streams of health and reflection: few for each peer, and limited in time."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import grpc_services
from eventually import eventually
from proad.rpc.stream_limiter import MOST_PER_ADDRESS
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.daemon import refusal

SERVING = health_pb2.HealthCheckResponse.SERVING


def watch(daemon):
    return grpc_services.health(daemon.channel).Watch(health_pb2.HealthCheckRequest())


def ask(daemon, *questions):
    stub = grpc_services.reflection(daemon.channel)
    return stub.ServerReflectionInfo(iter(questions))


def silent(daemon):
    """A reflection stream without requests that stays open."""
    return grpc_services.reflection(daemon.channel).ServerReflectionInfo()


async def test_public_streams_over_the_most_of_one_address_are_refused(daemon):
    watches = [watch(daemon) for _ in range(MOST_PER_ADDRESS)]
    for call in watches:
        assert (await call.read()).status == SERVING

    refused = await refusal(watch(daemon).read())
    reflected = await refusal(ask(daemon).read())

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")
    assert reflected.reason == "TOO_MANY_STREAMS"
    watches.pop().cancel()

    async def there_is_room():
        call = watch(daemon)
        try:
            return (await call.read()).status == SERVING
        except grpc.aio.AioRpcError:
            return False
        finally:
            call.cancel()

    await eventually(there_is_room)


async def test_public_streams_through_a_trusted_proxy_count_for_the_forwarded_address(serve):
    daemon = await serve(trusted_proxies="127.0.0.1")

    def from_behind(address):
        stub = grpc_services.health(daemon.channel)
        metadata = [("x-forwarded-for", address)]
        return stub.Watch(health_pb2.HealthCheckRequest(), metadata=metadata)

    watches = [from_behind("198.51.100.1") for _ in range(MOST_PER_ADDRESS)]
    for call in watches:
        assert (await call.read()).status == SERVING

    refused = await refusal(from_behind("198.51.100.1").read())

    assert refused.reason == "TOO_MANY_STREAMS"
    assert (await from_behind("198.51.100.2").read()).status == SERVING


@pytest.mark.parametrize("begin", [watch, silent], ids=["health", "reflection"])
async def test_public_stream_after_its_lifetime_ends_with_ok(serve, begin):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(public_stream_lifetime=0.2)))
    call = begin(daemon)

    async with asyncio.timeout(20):
        async for _ in call:
            pass

    assert (await call.code()).name == "OK"


async def test_public_stream_many_questions_are_all_answered(daemon):
    question = reflection_pb2.ServerReflectionRequest(list_services="")

    answers = [answer async for answer in ask(daemon, *[question] * 20)]

    assert len(answers) == 20


async def test_public_stream_question_over_its_limit_is_refused(daemon):
    question = reflection_pb2.ServerReflectionRequest(file_by_filename="x" * 5000)

    refused = await refusal(ask(daemon, question).read())

    assert refused.code == "INVALID_ARGUMENT"
    assert "4096" in refused.message


async def test_health_of_an_unknown_service_is_not_found(daemon):
    request = health_pb2.HealthCheckRequest(service="no.such.Service")

    refused = await refusal(grpc_services.health(daemon.channel).Check(request))

    assert refused.code == "NOT_FOUND"
