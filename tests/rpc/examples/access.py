"""Examples of reasons about tokens, scopes, registries, and the daemon itself."""

import errno
import os
import sqlite3
from contextlib import closing
from datetime import timedelta

import grpc
from grpc_health.v1 import health_pb2

import grpc_services
from proa import v1
from proad.auth.keys import KeyRing
from proad.auth.tokens import Tokens
from proad.model import Access
from rpc.daemon import BOTH, IMAGE, RPCS, refusal
from rpc.examples.registry import example

WRONG = {"username": "ann", "password": "correct hosre"}


@example('ListResources without "authorization: Bearer …".')
async def token_missing(serve, _):
    rpc = RPCS["ListResources"]
    return await refusal((await serve()).send(rpc, rpc.request()))


def foreign(settings, keys, **others):
    values = {
        "issuer": settings.token_issuer,
        "audience": settings.token_audience,
        "lifetime": settings.token_lifetime,
    }
    return Tokens(keys, **values | others)


@example("a token signed with another key.")
async def token_invalid(serve, settings):
    daemon = await serve()
    folder = settings().state_dir / "other"
    tokens = foreign(settings(), KeyRing.open(folder))
    token = tokens.issue("ann", BOTH, daemon.versions["ann"]).token
    return await refusal(daemon.send(RPCS["GetCaller"], b"", token=token))


@example("a token kept in a file since yesterday.")
async def token_expired(serve, settings):
    daemon = await serve()
    keys = KeyRing.open(settings().keys_dir)
    tokens = foreign(settings(), keys, lifetime=timedelta(days=-1))
    token = tokens.issue("ann", BOTH, daemon.versions["ann"]).token
    return await refusal(daemon.send(RPCS["GetCaller"], b"", token=token))


@example("a call after logging out.")
async def token_revoked(serve, _):
    daemon = await serve()
    token = daemon.token(*BOTH)
    await daemon.send(RPCS["RevokeToken"], b"", token=token)
    return await refusal(daemon.send(RPCS["GetCaller"], b"", token=token))


@example("CreateToken with a mistyped password.")
async def bad_credentials(serve, _):
    return await refusal((await serve()).call("CreateToken", **WRONG))


@example("the seventh wrong password in a row.")
async def too_many_attempts(serve, _):
    daemon = await serve()
    refused = [await refusal(daemon.call("CreateToken", **WRONG)) for _ in range(7)]
    assert {each.reason for each in refused[:6]} == {"BAD_CREDENTIALS"}
    return refused[6]


@example("StartResource with a `basic` token.")
async def scope_missing(serve, _):
    daemon = await serve()
    await daemon.container("web", start=False)
    rpc = RPCS["StartResource"]
    return await refusal(daemon.send(rpc, rpc.request(id="web"), token=daemon.token("basic")))


@example('PullImage of "localhost:5000/x" while allowed_registries does not name it.')
async def policy_denied(serve, _):
    for state, allowed in (("any", "*"), ("named", "docker.io,*.example:5000")):
        daemon = await serve(state=state, allowed_registries=allowed)
        refused = await refusal(daemon.call("PullImage", image="localhost:5000/x").read())
        assert refused.code == "PERMISSION_DENIED"
        assert refused.metadata["setting"] == "allowed_registries"
        assert "registry" in refused.metadata["rule"]
    return refused


@example("LoginRegistry with a mistyped password.")
async def registry_denied(serve, _):
    daemon = await serve()
    request = {"registry": "reg:5000", "username": "u", "password": "wrong"}
    return await refusal(daemon.call("LoginRegistry", **request))


@example('PullImage of "down.example/x" while nobody answers there.')
async def registry_unreachable(serve, _):
    daemon = await serve()
    refused = await refusal(daemon.call("PullImage", image="down.example/x").read())
    assert (refused.code, refused.retry_after) == ("UNAVAILABLE", 10)
    return refused


@example("the 65th Watch of grpc.health.v1 from one address.")
async def too_many_streams(serve, _):
    daemon = await serve()
    stub = grpc_services.health(daemon.channel)
    calls = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(64)]
    for call in calls:
        assert await call.read() is not grpc.aio.EOF
    return await refusal(stub.Watch(health_pb2.HealthCheckRequest()).read())


@example("GetCaller twice in a second where user_calls_per_second is 1.")
async def too_many_calls(serve, _):
    daemon = await serve(user_calls_per_second=1)
    await daemon.call("GetCaller")
    return await refusal(daemon.call("GetCaller"))


@example("CreateContainer on a full disk.")
async def audit_unavailable(serve, _):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    daemon = await serve(parts={"sync": full})
    refused = await refusal(daemon.call("CreateContainer", spec={"image": IMAGE, "name": "web"}))
    assert (refused.code, refused.retry_after) == ("UNAVAILABLE", 2)
    assert await daemon.names() == []
    return refused


@example("RevokeToken while another program keeps the database locked.")
async def database_unreachable(serve, settings):
    daemon = await serve()
    path = settings().state_dir / "proa.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        refused = await refusal(daemon.call("RevokeToken"))
    assert (refused.code, refused.metadata) == ("UNAVAILABLE", {})
    assert refused.retry_after == 2
    return refused


@example("CreateToken with ACCESS_ALL by a user whose access is `own`.")
async def access_missing(serve, _):
    daemon = await serve()
    await daemon.users.set_access("ann", Access.OWN, "")
    login = {"username": "ann", "password": "correct horse"}
    token = (await daemon.call("CreateToken", access="ACCESS_OWN", **login)).token
    caller = await daemon.send(RPCS["GetCaller"], b"", token=token)
    assert caller.access == v1.ACCESS_OWN
    refused = await refusal(daemon.call("CreateToken", access="ACCESS_TEAM", **login))
    assert refused.metadata == {"wanted_access": "team", "access": "own"}
    return await refusal(daemon.call("CreateToken", access="ACCESS_ALL", **login))
