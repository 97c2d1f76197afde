"""How a watch ends: with its token, account or daemon."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from structlog.testing import capture_logs

from eventually import consistently, eventually
from proad.auth.tokens import Tokens
from proad.drivers.memory import MemoryDriver
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.revocations import RevocationStore
from proad.store.users import UserStore
from rpc.daemon import BOTH, RPCS, refusal, running
from rpc.raw_http2 import (
    DATA,
    END_STREAM,
    INITIAL_WINDOW,
    PREFACE,
    SETTINGS,
    Connection,
    frame,
    message,
)
from rpc.watcher import Watcher

STREAMS = ("WatchResources", "StreamStats")
# A client that takes no more than this from the wire before its user reads.
NARROW = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]


def token_for(daemon, seconds):
    """Return a token of ann that expires within this many seconds."""
    short = Tokens(
        daemon.keys,
        issuer=daemon.settings.token_issuer,
        audience=daemon.settings.token_audience,
        lifetime=timedelta(seconds=seconds),
    )
    return short.issue("ann", BOTH, daemon.versions["ann"]).token


async def last_word(call, seconds=60):
    """Read a stream to its end, long before its next heartbeat, and return the refusal."""

    async def read():
        while await call.read():
            pass

    return await asyncio.wait_for(refusal(read()), seconds)


def stream(daemon, name, token):
    return daemon.send(RPCS[name], RPCS[name].request(), token=token, timeout=None)


async def fill(daemon, rounds):
    """Change each container repeatedly, and await each change before the next."""
    there = await daemon.driver.list_resources()
    for number in range(rounds):
        pause = number % 2 == 0
        for each in there:
            await (daemon.driver.pause if pause else daemon.driver.resume)(each.id)
        which = {"states": [f"RESOURCE_STATE_{'PAUSED' if pause else 'RUNNING'}"]}

        async def known(which=which):
            return len(await daemon.names(filter=which)) == len(there)

        await eventually(known)
    return rounds * len(there)


async def large_containers(daemon, number):
    for each in range(number):
        await daemon.container(f"c{each:03}", labels={"filling": "x" * 2000})


@pytest.mark.parametrize("name", STREAMS)
async def test_stream_token_expires_ends(daemon, name):
    await daemon.container("web")
    began = time.monotonic()
    call = await begun(daemon, name, token_for(daemon, 3))

    refused = await last_word(call)

    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
    assert time.monotonic() - began > 1.5


CHANGES = {
    "disabled": lambda users: users.set_disabled("ann", disabled=True),
    "removed": lambda users: users.remove("ann"),
    "new password": lambda users: users.set_password("ann", "x"),
}


# Idle streams: no heartbeat and no sample is due before the test ends.
SILENT = {
    "WatchResources": {"heartbeat_interval": Duration(seconds=300)},
    "StreamStats": {"interval": Duration(seconds=3600)},
}


async def begun(daemon, name, token, **fields):
    """A stream that has sent its initial state and is idle."""
    request = RPCS[name].request(**SILENT[name], **fields)
    call = daemon.send(RPCS[name], request, token=token, timeout=None)
    assert await call.read()
    return call


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", STREAMS)
async def test_stream_silent_account_disabled_ends(daemon, name, change):
    await daemon.container("web")
    call = await begun(daemon, name, daemon.token(*BOTH))
    other = await begun(daemon, name, daemon.token(Scope.BASIC, username="bob"))
    await CHANGES[change](daemon.users)

    refused = await last_word(call)

    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert not other.done()
    other.cancel()


@pytest.mark.parametrize("name", STREAMS)
async def test_stream_silent_token_revoked_ends_at_once(daemon, name):
    await daemon.container("web")
    token = daemon.token(*BOTH)
    calls = [await begun(daemon, name, token) for _ in range(3)]
    other = await begun(daemon, name, daemon.token(*BOTH))
    await daemon.send(RPCS["RevokeToken"], RPCS["RevokeToken"].request(), token=token)

    for call in calls:
        assert (await last_word(call)).reason == "TOKEN_REVOKED"

    assert not other.done()
    other.cancel()


async def test_stream_token_revoked_by_another_daemon_ends(daemon, settings):
    await daemon.container("web")
    token = daemon.token(*BOTH)
    call = await begun(daemon, "WatchResources", token)
    async with Database.open(settings().database_url.get_secret_value()) as database:
        claims = daemon.tokens.verify(token)
        await RevocationStore(database).add(claims.token_id, claims.expire_time)

    assert (await last_word(call)).reason == "TOKEN_REVOKED"


async def test_stream_that_nobody_reads_account_disabled_ends(daemon, access_line):
    """The writer is blocked by the client, which must not delay the end of the stream."""
    await large_containers(daemon, 50)
    async with grpc.aio.insecure_channel(daemon.address, options=NARROW) as channel:
        watcher = await Watcher(daemon, token=daemon.token(*BOTH), channel=channel).begin()
        await fill(daemon, 20)
        await daemon.users.set_disabled("ann", disabled=True)

        assert await access_line("WatchResources") == ("UNAUTHENTICATED", "TOKEN_INVALID")

        await daemon.driver.pause((await daemon.driver.list_resources())[0].id)
        refused = await watcher.end()  # which reads the data in flight
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")


@pytest.mark.parametrize(
    "path",
    [
        RPCS["WatchResources"].path,
        RPCS["ListResources"].path,
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/Check",
    ],
)
async def test_caller_who_vanishes_before_the_first_answer_is_sent_is_no_fault(
    daemon, caplog, path
):
    """Its window is closed from the start. Strangers could fill a disk with what is logged."""
    await large_containers(daemon, 1)
    token = daemon.token(*BOTH)
    with capture_logs() as lines:
        for _ in range(20):
            connection = await Connection.open(daemon.address, preface=False)
            connection.send(PREFACE + frame(SETTINGS, 0, 0, INITIAL_WINDOW + bytes(4)))
            connection.begin(path, authorization=f"Bearer {token}")
            connection.send(frame(DATA, END_STREAM, 1, message(b"")))
            await connection.heard()
            await daemon.call("GetCaller")  # while the daemon writes to the other
            connection.close()

        def no_fault():
            return not [line for line in lines if line["log_level"] == "error"]

        await consistently(no_fault, during=0.5)

    assert [record.getMessage() for record in caplog.records] == []


class EndlessPull(MemoryDriver):
    async def pull_image(self, name, **options):
        async for step in super().pull_image(name, **options):
            yield step
            await asyncio.Event().wait()


async def test_pull_account_disabled_ends_with_token_invalid(serve):
    daemon = await serve(("local", EndlessPull()))
    call = daemon.send(
        RPCS["PullImage"],
        RPCS["PullImage"].request(image="reg.example/x:1"),
        token=daemon.token(*BOTH),
        timeout=None,
    )
    assert await call.read()
    await daemon.users.set_scopes("ann", [Scope.BASIC])

    refused = await last_word(call)

    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert not any(
        "reg.example" in tag for i in await daemon.driver.list_images() for tag in i.tags
    )


async def test_streams_many_ask_the_database_once_for_all(daemon, monkeypatch):
    asked = []
    for store in (UserStore, RevocationStore):
        for name in ("get", "statuses", "among"):
            if method := getattr(store, name, None):

                async def noted(self, what, *, name=name, method=method):
                    asked.append((name, what))
                    return await method(self, what)

                monkeypatch.setattr(store, name, noted)
    tokens = [daemon.token(*BOTH) for _ in range(20)]
    calls = [await begun(daemon, "WatchResources", tokens[n % 20]) for n in range(40)]
    await eventually(lambda: [len(what) for name, what in asked if name == "among"][-1:] == [20])
    asked.clear()

    await eventually(lambda: len(asked) >= 5)

    begin = [name for name, _ in asked].index("among")  # the clear may have come amid a look
    looks = [(name, len(what)) for name, what in asked[begin : begin + 4]]
    assert looks == [("among", 20), ("statuses", 1)] * 2
    for call in calls:
        call.cancel()


@pytest.fixture
def access_line():
    """Wait for the line of a method in the access log."""
    with capture_logs() as lines:

        async def line_of(name):
            async def there():
                return any(line.get("method") == RPCS[name].path for line in lines)

            await eventually(there)
            (line,) = [line for line in lines if line.get("method") == RPCS[name].path]
            return line["code"], line["reason"]

        yield line_of


@pytest.mark.parametrize("name", STREAMS)
async def test_stream_deadline_expires_ends(daemon, access_line, name):
    """The stream ends at its deadline, without a note about effects, since it has none."""
    await daemon.container("web")
    began = time.monotonic()
    call = daemon.call(name, timeout=2)
    assert await call.read()

    refused = await last_word(call)

    assert time.monotonic() - began > 1.99
    assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", None)
    assert await access_line(name) == ("DEADLINE_EXCEEDED", None)


@pytest.mark.parametrize("deadline", [None, 60])
@pytest.mark.parametrize("name", STREAMS)
async def test_stream_cancelled_by_its_caller_is_logged_as_cancelled(
    daemon, access_line, name, deadline
):
    await daemon.container("web")
    call = daemon.call(name, timeout=deadline)
    assert await call.read()

    call.cancel()

    assert await access_line(name) == ("CANCELLED", None)


@pytest.mark.parametrize("name", STREAMS)
async def test_stream_daemon_stops_ends_with_shutting_down(settings, name):
    async with AsyncExitStack() as stack:
        patient = settings(drain_timeout="30s")
        daemon = await stack.enter_async_context(running(patient, [("local", MemoryDriver())]))
        await daemon.container("web")
        async with grpc.aio.insecure_channel(daemon.address) as channel:
            daemon.channel = channel
            calls = [stream(daemon, name, daemon.token(*BOTH)) for _ in range(20)]
            for call in calls:
                assert await call.read()
            ends = [asyncio.ensure_future(last_word(call)) for call in calls]

            with capture_logs() as lines:
                await stack.aclose()

            assert "calls cut off" not in {line["event"] for line in lines}
            for refused in await asyncio.gather(*ends):
                assert (refused.code, refused.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")
                assert refused.retry_after
