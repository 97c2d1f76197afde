"""Reflection: public on this host, for users from elsewhere."""

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import grpc_services
from rpc.daemon import refusal

LIST = reflection_pb2.ServerReflectionRequest(list_services="")


def asked(channel, *metadata):
    """Return the first answer of reflection, still to come."""
    stub = grpc_services.reflection(channel)
    return stub.ServerReflectionInfo(iter([LIST]), metadata=metadata).read()


def opened(channel, *metadata):
    """Return the first answer to a stream in which nothing is asked, still to come.

    A refusal that meets a request on its way reaches clients of grpc.aio at times as INTERNAL.
    """
    return grpc_services.reflection(channel).ServerReflectionInfo(metadata=metadata).read()


def names(answer):
    return {service.name for service in answer.list_services_response.service}


@pytest.fixture
async def proxied(serve):
    """A daemon whose callers are where they say."""
    return await serve(trusted_proxies="127.0.0.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
async def test_reflection_on_loopback_is_public(proxied, address):
    answer = await asked(proxied.channel, ("x-forwarded-for", address))
    assert "proa.v1.ResourceService" in names(answer)


async def test_reflection_on_a_unix_socket_is_public(serve, tmp_path):
    daemon = await serve(listen=f"unix:{tmp_path}/s")
    assert "proa.v1.ResourceService" in names(await asked(daemon.channel))


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "fe80::1", "0.0.0.0"])
async def test_reflection_from_elsewhere_takes_a_token(proxied, address):
    here = ("x-forwarded-for", address)
    token = proxied.token(username="ann")

    refused = await refusal(opened(proxied.channel, here))
    wrong = await refusal(opened(proxied.channel, here, ("authorization", "Bearer nonsense")))
    answer = await asked(proxied.channel, here, ("authorization", f"Bearer {token}"))

    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert wrong.reason == "TOKEN_INVALID"
    assert "proa.v1.ResourceService" in names(answer)
    health = grpc_services.health(proxied.channel)
    assert await health.Check(health_pb2.HealthCheckRequest(), metadata=[here])


async def test_public_reflection_is_public_everywhere(serve):
    daemon = await serve(trusted_proxies="127.0.0.1", public_reflection=True)
    answer = await asked(daemon.channel, ("x-forwarded-for", "192.0.2.7"))
    assert "proa.v1.ResourceService" in names(answer)


async def test_channelz_is_not_served(daemon):
    answer = await asked(daemon.channel)
    assert not any("channelz" in name for name in names(answer))
    call = daemon.channel.unary_unary("/grpc.channelz.v1.Channelz/GetServers")
    with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
        await call(b"", metadata=[("authorization", f"Bearer {daemon.token()}")])
