"""How a stream of requests ends: with its token, its user, its resource, its daemon; and renewals."""

import asyncio
from functools import partial
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from eventually import consistently, eventually, settled
from proad.model import Access
from proad.model.scope import Scope
from proad.rpc.timing import RpcTiming
from proad.store.database import Database
from proad.store.revocations import RevocationStore
from proad.timing import DaemonTiming
from rpc.daemon import BOTH, RPCS, refusal
from rpc.exec_session import Session, command
from rpc.tenants import tenant
from rpc.test_audit import lines
from rpc.test_watch_ends import CHANGES, token_for

LONG = command("sleep", "600")


@pytest.fixture
async def daemon(serve):
    daemon = await serve()
    await daemon.container("web")
    return daemon


async def under_way(daemon, number):
    """Return whether so many commands run."""
    return len(daemon.driver.commands.under_way) == number


async def refused(session):
    """Return the refusal that a session ends with, long before its command does."""
    return await asyncio.wait_for(session.refused(), 60)


async def test_stream_without_a_message_is_not_waited_for(serve):
    timing = DaemonTiming(rpc=RpcTiming(read_timeout=0.05))
    daemon = await serve(timing=timing)

    assert (await refused(Session(daemon))).reason == "INVALID_ARGUMENT"


async def test_stream_ends_with_its_token(daemon):
    session = await Session.begun(daemon, id="web", command=LONG, token=token_for(daemon, 2))

    assert (await refused(session)).reason == "TOKEN_EXPIRED"


async def test_stream_goes_on_with_a_renewed_token(daemon):
    session = await Session.begun(
        daemon, id="web", command=command("cat"), stdin=True, token=token_for(daemon, 2)
    )
    for _ in range(3):
        session.say(renew={"token": token_for(daemon, 2)})
        # Of two seconds that a token lives: together more than one does.
        await consistently(lambda: not session.call.done(), during=1)
    session.say(stdin=b"there")
    await session.until(b"there")

    assert (await refused(session)).reason == "TOKEN_EXPIRED"


async def test_stream_goes_on_though_its_first_token_is_revoked_after_the_renewal(daemon):
    first = daemon.token(*BOTH)
    session = await Session.begun(daemon, id="web", command=command("cat"), stdin=True, token=first)
    session.say(renew={"token": daemon.token(*BOTH)})
    session.say(stdin=b"renewed")
    await session.until(b"renewed")
    async with Database.open(daemon.settings.database_url.get_secret_value()) as database:
        claims = daemon.tokens.verify(first)
        await RevocationStore(database).add(claims.token_id, claims.expire_time)

    # Longer than it takes to notice.
    await consistently(lambda: not session.call.done(), during=2.5)
    session.say(stdin=b"there")
    await session.until(b"there")


async def of_another_user(daemon):
    return daemon.token(*Scope, username="eve")


async def of_fewer_scopes(daemon):
    return daemon.token(Scope.BASIC)


async def that_is_none(_daemon):
    return "nonsense"


async def of_a_narrower_access(daemon):
    grant = {"access": Access.OWN}
    return daemon.tokens.issue("ann", BOTH, daemon.versions["ann"], **grant).token


@pytest.mark.parametrize(
    ("renewed", "reason"),
    [
        (of_another_user, "TOKEN_INVALID"),
        (of_fewer_scopes, "SCOPE_MISSING"),
        (that_is_none, "TOKEN_INVALID"),
        (of_a_narrower_access, "ACCESS_MISSING"),
    ],
)
async def test_stream_ends_with_a_renewal_that_is_worth_less(daemon, renewed, reason):
    session = await Session.begun(daemon, id="web", command=LONG)
    session.say(renew={"token": await renewed(daemon)})

    assert (await refused(session)).reason == reason


@pytest.mark.parametrize("change", CHANGES)
async def test_stream_ends_with_its_user(daemon, change):
    session = await Session.begun(daemon, id="web", command=LONG)
    await CHANGES[change](daemon.users)

    assert (await refused(session)).reason == "TOKEN_INVALID"


@pytest.mark.parametrize("change", CHANGES)
async def test_run_command_ends_with_its_user(daemon, change):
    call = daemon.call("RunCommand", id="web", command=LONG, timeout=600)
    await eventually(partial(under_way, daemon, 1))
    await CHANGES[change](daemon.users)

    ended = await asyncio.wait_for(refusal(call), 60)
    assert ended.reason == "TOKEN_INVALID"
    await eventually(partial(under_way, daemon, 0))


async def test_run_command_with_a_request_id_goes_on_without_its_user_who_hears_no_more(daemon):
    call = daemon.call("RunCommand", id="web", command=LONG, request_id=str(uuid4()), timeout=600)
    await eventually(partial(under_way, daemon, 1))
    await daemon.users.set_disabled("ann", disabled=True)

    ended = await asyncio.wait_for(refusal(call), 60)
    assert ended.reason == "TOKEN_INVALID"
    assert await under_way(daemon, 1)


async def test_run_command_with_a_request_id_is_not_ended_by_cancel_request(daemon):
    id = str(uuid4())
    call = daemon.call("RunCommand", id="web", command=LONG, request_id=id, timeout=600)
    await eventually(partial(under_way, daemon, 1))

    ended = await refusal(daemon.call("CancelRequest", request_id=id))
    assert ended.reason == "ILLEGAL_STATE"
    assert await under_way(daemon, 1)
    call.cancel()


async def test_run_command_outlives_its_token(daemon):
    rpc = RPCS["RunCommand"]
    request = rpc.request(id="web", command=command("sleep", "4"))
    result = await daemon.send(rpc, request, token=token_for(daemon, 2))

    assert result.exit.code == 0


async def test_stream_ends_with_a_scope_that_is_taken(daemon):
    session = await Session.begun(daemon, id="web", command=LONG)
    await daemon.users.set_scopes("ann", (Scope.BASIC,))

    assert (await refused(session)).code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}


async def test_stream_ends_with_the_sight_of_its_resource(handed):
    daemon, hand_over = handed
    alice = await tenant(daemon, "alice")
    await tenant(daemon, "bella")
    await alice.container("web")
    session = await Session.begun(daemon, id="web", command=LONG, token=alice.token)

    await hand_over("web", "bella")

    assert (await refused(session)).reason == "RESOURCE_NOT_FOUND"


async def test_stream_whose_caller_goes_ends_its_command(daemon):
    session = await Session.begun(daemon, id="web", command=LONG)
    assert len(daemon.driver.commands.under_way) == 1
    session.call.cancel()

    async def over():
        return not daemon.driver.commands.under_way

    await eventually(over)


async def test_stream_whose_caller_goes_while_it_is_not_read_is_cancelled(daemon):
    many = command("head", "-c", "100000000", "/dev/zero")
    with capture_logs() as logged:
        for _ in range(5):
            session = await Session.begun(daemon, id="web", command=many)
            (held,) = daemon.driver.commands.under_way
            await settled(partial(getattr, held, "written"))  # its windows are full
            session.call.cancel()

        async def ended():
            outcomes = [line for line in lines(daemon) if line["kind"] == "outcome"]
            return [line["code"] for line in outcomes[-5:]] == ["CANCELLED"] * 5

        await eventually(ended)
    assert not [line for line in logged if line["event"] == "fault"]


async def test_stream_at_its_deadline_ends_its_command(daemon):
    session = Session(daemon, id="web", command=LONG, timeout=1)

    assert (await refused(session)).code == "DEADLINE_EXCEEDED"

    async def over():
        return not daemon.driver.commands.under_way

    await eventually(over)


async def test_stream_that_nobody_reads_holds_its_command_up(daemon):
    session = await Session.begun(daemon, id="web", command=command("cat"), stdin=True)
    for _ in range(500):
        session.say(stdin=b"x" * 60_000)
    session.say(end_stdin={})

    others = await Session.begun(daemon, id="web", command=command("echo", "hi"))
    assert (await others.rest())[0] == b"hi\n"
    (held,) = daemon.driver.commands.under_way
    assert held.written < 5_000_000  # of 30: what the windows of HTTP/2 and a few pieces take
    assert len((await session.rest())[0]) == 30_000_000
