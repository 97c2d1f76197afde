"""Authorization of every RPC of the contract."""

import secrets
from datetime import timedelta
from itertools import combinations
from typing import Any

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import grpc_services
from proa import v1
from proad.auth.keys import Key, KeyRing
from proad.auth.tokens import Tokens
from proad.core.gate import PolicyGate
from proad.core.inventory import Inventory
from proad.core.requests import RequestJournal
from proad.core.shielded_tasks import ShieldedTasks
from proad.model.scope import Scope
from proad.policy import Policy
from proad.rpc.answers import ProtoAnswerCodec
from proad.rpc.interceptor import CallInterceptor
from proad.rpc.methods import SCOPES, SERVICES, methods
from proad.rpc.redaction import Redactor
from proad.rpc.request_ids import RequestIds
from rpc.daemon import BOTH, RPCS, Refusal, auditing, authenticating, refusal
from unit.core.requests.memory_records import MemoryRecords, ScriptedJudge

LET_IN = "let in"
MISSING = ("UNAUTHENTICATED", "TOKEN_MISSING")
INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")
EXPIRED = ("UNAUTHENTICATED", "TOKEN_EXPIRED")
REVOKED = ("UNAUTHENTICATED", "TOKEN_REVOKED")
DENIED = ("PERMISSION_DENIED", "SCOPE_MISSING")


async def outcome(call, rpc):
    """Return whether a call was admitted, or else the code and the reason."""
    try:
        if rpc.streams:
            await call.read()
            call.cancel()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        refused = Refusal.of(error)
        if refused.code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
            assert refused.domain == "proa.dev"
            return (refused.code, refused.reason)
        assert refused.code not in {"INTERNAL", "UNKNOWN", "UNIMPLEMENTED"}, refused
    return LET_IN


def outcome_with_scopes(rpc, scopes):
    """Return the outcome of an RPC for a valid token with `scopes`."""
    held = {SCOPES[number] for number in rpc.access.scopes}
    return LET_IN if held <= set(scopes) else DENIED


async def matrix(daemon, make_token):
    """The outcome of each RPC, every one with a token of its own: one of them revokes it."""
    return {
        name: await outcome(daemon.send(rpc, rpc.request(), token=await make_token()), rpc)
        for name, rpc in RPCS.items()
    }


@pytest.mark.parametrize(
    "scopes",
    [some for size in range(len(Scope) + 1) for some in combinations(Scope, size)],
    ids=lambda s: "+".join(s) or "none",
)
async def test_call_with_valid_token_is_admitted_exactly_by_its_scopes(daemon, scopes):
    async def make_token():
        return daemon.token(*scopes, username="eve")

    wanted = {name: outcome_with_scopes(rpc, scopes) for name, rpc in RPCS.items()}

    assert await matrix(daemon, make_token) == wanted


def foreign(daemon, **changes):
    """Creates tokens that differ from the daemon's own in one property."""
    settings = {
        "keys": daemon.keys,
        "issuer": daemon.settings.token_issuer,
        "audience": daemon.settings.token_audience,
        "lifetime": daemon.settings.token_lifetime,
        **changes,
    }
    return Tokens(settings.pop("keys"), **settings).issue("ann", BOTH, daemon.versions["ann"]).token


def unsigned(daemon, algorithm, key):
    """The claims and the header of a good token, signed in another way."""
    good = daemon.token(*BOTH)
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    return jwt.encode(claims, key, algorithm=algorithm, headers={**header, "alg": algorithm})


async def revoked(daemon):
    token = daemon.token(*BOTH)
    await daemon.send(RPCS["RevokeToken"], v1.RevokeTokenRequest(), token=token)
    return token


BAD_TOKENS = {
    "none": (lambda d: None, MISSING),
    "expired": (lambda d: foreign(d, lifetime=timedelta(seconds=-1)), EXPIRED),
    "wrong key": (lambda d: foreign(d, keys=KeyRing((Key(secrets.token_bytes(32)),))), INVALID),
    "wrong audience": (lambda d: foreign(d, audience="others"), INVALID),
    "wrong issuer": (lambda d: foreign(d, issuer="others"), INVALID),
    "alg none": (lambda d: unsigned(d, "none", None), INVALID),
    "another alg, same key": (
        lambda d: unsigned(d, "HS512", d.keys.newest.secret * 2),
        INVALID,
    ),
    "unknown user": (lambda d: d.tokens.issue("eve", BOTH, 1).token, INVALID),
    "cut short": (lambda d: d.token(*BOTH)[:-4], INVALID),
    "no token at all": (lambda d: "nonsense", INVALID),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_call_with_bad_token_is_admitted_to_public_methods_alone(daemon, kind):
    make, wanted = BAD_TOKENS[kind]

    async def make_token():
        return make(daemon)

    assert await matrix(daemon, make_token) == closed(wanted)


async def test_call_with_revoked_token_is_admitted_to_public_methods_alone(daemon):
    assert await matrix(daemon, lambda: revoked(daemon)) == closed(REVOKED)


CHANGES = {
    "disabled": lambda users: users.set_disabled("ann", disabled=True),
    "removed": lambda users: users.remove("ann"),
    "new password": lambda users: users.set_password("ann", "x"),
    "fewer scopes": lambda users: users.set_scopes("ann", [Scope.BASIC]),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_call_with_token_after_change_of_its_user_is_refused(daemon, change):
    await CHANGES[change](daemon.users)

    async def make_token():
        return daemon.token(*BOTH)  # issued before the change

    assert await matrix(daemon, make_token) == closed(INVALID)


def closed(wanted):
    return {name: LET_IN if rpc.access.public else wanted for name, rpc in RPCS.items()}


def test_server_every_method_of_the_contract_is_served():
    served = {method.name for service in SERVICES for method in service.methods}

    assert served == set(RPCS)


async def test_call_with_missing_scope_names_the_scope(daemon):
    refused = await refusal(
        daemon.send(RPCS["StartResource"], b"", token=daemon.token(Scope.BASIC))
    )

    assert refused.metadata == {"required_scope": "advanced", "scopes": "basic"}


@pytest.mark.parametrize(
    "header", ["bearer {}", "Bearer {}", "BEARER {}", "Bearer   {} ", " Bearer {}"]
)
async def test_authorization_header_scheme_in_any_case_is_read(daemon, header):
    metadata = [("authorization", header.format(daemon.token(Scope.BASIC)))]

    answer = await daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), metadata=metadata)

    assert answer.username == "ann"


@pytest.mark.parametrize(
    "header", ["", " ", "Bearer", "Bearer ", "Basic YW5uOng=", "{}", "Bearer{}"]
)
async def test_call_with_token_in_another_header_is_refused(daemon, header):
    metadata = [("authorization", header.format(daemon.token(Scope.BASIC)))]

    refused = await refusal(
        daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), metadata=metadata)
    )

    assert (refused.code, refused.reason) == MISSING


@pytest.mark.parametrize("token", ["a", "a.b.c", "..", "~!@#$%^&*(", "a b c", "ey" * 2500])
async def test_call_with_garbage_as_token_is_refused(daemon, token):
    metadata = [("authorization", f"Bearer {token}")]
    call = daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), metadata=metadata)

    refused = await refusal(call)

    assert (refused.code, refused.reason) == INVALID


async def test_call_with_binary_authorization_header_is_token_missing(daemon):
    metadata = [("authorization-bin", secrets.token_bytes(100))]

    refused = await refusal(
        daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), metadata=metadata)
    )

    assert (refused.code, refused.reason) == MISSING


async def test_health_and_reflection_without_token_are_served(daemon):
    health = await grpc_services.health(daemon.channel).Check(health_pb2.HealthCheckRequest())
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    call = grpc_services.reflection(daemon.channel).ServerReflectionInfo(iter([question]))
    listed = [
        service.name async for answer in call for service in answer.list_services_response.service
    ]

    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert {service.full_name for service in SERVICES} <= set(listed)


async def test_method_without_scope_option_is_denied_to_everyone(settings):
    """A fake service is used, because the contract has no method without the option."""
    path = "/proa.v1.FakeService/Do"
    reached = []

    async def do(request, context):
        reached.append(request)
        return request

    async with authenticating(settings()) as authenticator, auditing(settings()) as auditor:
        codec = ProtoAnswerCodec(methods())
        journal = RequestJournal(MemoryRecords(), ShieldedTasks(), codec, ScriptedJudge())
        gate = PolicyGate(Policy(), Inventory([]))
        interceptor = CallInterceptor(
            authenticator, methods(), RequestIds(journal, []), gate, Redactor([]), auditor
        )
        server = grpc.aio.server(interceptors=[interceptor])
        handlers: dict[str, Any] = {"Do": grpc.unary_unary_rpc_method_handler(do)}
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("proa.v1.FakeService", handlers)]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        user = await authenticator.create_token("ann", "correct horse", peer="test")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary(path)
            known = await refusal(call(b"", metadata=[("authorization", f"Bearer {user.token}")]))
            stranger = await refusal(call(b""))
        await server.stop(None)

    assert (known.code, known.reason) == DENIED
    assert (stranger.code, stranger.reason) == MISSING
    assert reached == []
