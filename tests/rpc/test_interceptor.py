"""The interceptor: which callers are authorized before what is read, and what of a refused call stays behind."""

import asyncio
import base64
import gc
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from eventually import eventually
from proa import v1
from proad.core import lifecycle
from proad.errors import ProaError, TokenExpiredError
from proad.model.scope import Scope
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.daemon import BOTH, RPCS, Refusal, refusal
from rpc.raw_http2 import DATA, END_STREAM, HEADERS, Connection, frame, message

GET = RPCS["GetResource"].path
NOT_PUBLIC = [name for name, rpc in RPCS.items() if not rpc.access.public]
INVALID = ("INVALID_ARGUMENT", "INVALID_ARGUMENT")


def messages(daemon, path, *bodies, token=None):
    """Begin a call of any method with any number of messages."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return daemon.channel.stream_unary(path)(iter(bodies), metadata=metadata, timeout=20)


@pytest.fixture
async def connect():
    """Open connections to daemons; they are closed at the end."""
    opened = []

    async def open(daemon):
        opened.append(await Connection.open(daemon.address))
        return opened[-1]

    yield open
    for connection in opened:
        connection.close()


@pytest.fixture
async def connection(connect, daemon):
    return await connect(daemon)


def plain(block):
    """Decode a header block; gRPC does not compress the status and its message."""
    return block.decode("latin-1")


@pytest.mark.parametrize("name", NOT_PUBLIC)
async def test_call_without_token_ends_before_its_message_comes(daemon, connection, name):
    connection.begin(RPCS[name].path)

    async with asyncio.timeout(20):
        assert "this call needs a token" in plain(await connection.ended())


async def test_call_half_sent_message_ends_after_read_timeout(serve, connect):
    daemon = await serve(timing=DaemonTiming(rpc=RpcTiming(read_timeout=0.3)))
    connection = await connect(daemon)
    connection.begin(GET, authorization=f"Bearer {daemon.token(*BOTH)}")
    connection.send(frame(DATA, 0, 1, message(b"\x0a\x03web")[:-1]))

    async with asyncio.timeout(20):
        ended = plain(await connection.ended())

    assert "no whole request message came within" in ended


async def test_call_without_message_is_refused(daemon):
    refused = await refusal(messages(daemon, GET, token=daemon.token(*BOTH)))

    assert (refused.code, refused.reason) == INVALID
    assert "no request message" in refused.message


async def test_call_changing_with_two_messages_is_refused(daemon):
    request = v1.StartResourceRequest(id="web").SerializeToString()
    call = messages(daemon, RPCS["StartResource"].path, request, request, token=daemon.token(*BOTH))

    refused = await refusal(call)

    assert (refused.code, refused.reason) == INVALID
    assert "more than one" in refused.message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_call_compressed_message_is_limited_by_its_unpacked_size(daemon, compression):
    rpc = RPCS["CreateContainer"]
    bomb = b"\x0a\x00" * 2**22
    metadata = [("authorization", f"Bearer {daemon.token(*BOTH)}")]
    call = daemon.channel.unary_unary(rpc.path)

    refused = await refusal(call(bomb, metadata=metadata, compression=compression))
    small = await refusal(call(b"", metadata=metadata, compression=compression))
    over = await refusal(call(b"\x0a\x00" * 2**18, metadata=metadata, compression=compression))

    assert refused.code == "RESOURCE_EXHAUSTED"  # gRPC's own error, before the daemon's
    assert (small.code, small.fields) == ("INVALID_ARGUMENT", ["spec"])
    assert over.code == "INVALID_ARGUMENT"
    assert "this method takes 262144" in over.message


async def test_call_two_authorization_headers_is_refused(daemon):
    token = daemon.token(*BOTH)
    metadata = [("authorization", f"Bearer {token}")] * 2

    refused = await refusal(
        daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), metadata=metadata)
    )

    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")


def spellings(token):
    """Other spellings of a token, equal to a lenient parser."""
    header, claims, signature = token.split(".")
    yield f"{token}="
    yield f"{header}.{claims}==.{signature}"
    yield f"{header}=.{claims}.{signature}"
    yield f"{header}.{claims}.{signature[:5]}!{signature[5:]}"
    yield f"{header}.{claims}.{signature[:5]} {signature[5:]}"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(signature[-1]) ^ 1]  # a bit that no byte has
    same = f"{signature[:-1]}{other}"
    assert base64.urlsafe_b64decode(f"{same}=") == base64.urlsafe_b64decode(f"{signature}=")
    yield f"{header}.{claims}.{same}"


async def test_call_token_in_another_spelling_is_refused(daemon):
    for token in spellings(daemon.token(*BOTH)):
        call = daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), token=token)

        refused = await refusal(call)

        assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID"), token


@contextmanager
def cycles():
    """Collects what was left in here for the collector to find, of the daemon's side."""
    found: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [thing for thing in gc.garbage if _is_a_calls(thing)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _is_a_calls(thing):
    """Return whether an object belongs to a call in the daemon: the client leaves cycles, too."""
    kind = type(thing)
    code = getattr(thing, "f_code", None) or getattr(thing, "cr_code", None)
    return (
        kind.__name__ in {"_ServicerContext", "RPCState"}
        or isinstance(thing, ProaError | Message)
        or (code is not None and "/proad/" in code.co_filename)
    )


async def cancelled(call):
    await asyncio.sleep(0.05)  # so that most of the calls are under way
    call.cancel()
    return Refusal("CANCELLED", "", {})


async def refused_call(daemon, way):
    """Make a call that is refused, or given up, in one of many ways."""
    stop = RPCS["StopResource"]
    request = stop.request(id="vm").SerializeToString()
    both, basic = daemon.token(*BOTH), daemon.token(Scope.BASIC)
    slow = stop.request(id="vm", mode="STOP_MODE_GRACEFUL", grace_period={"seconds": 1})
    slow = slow.SerializeToString()
    wrong = RPCS["CreateContainer"].request(spec={"image": "x", "stop_signal": "\0"})
    watch = RPCS["WatchResources"]
    ways = {
        "no token": lambda: refusal(daemon.send(stop, request)),
        "bad token": lambda: refusal(daemon.send(stop, request, token="x.y.z")),
        "wrong scope": lambda: refusal(daemon.send(stop, request, token=basic)),
        "too large": lambda: refusal(daemon.send(stop, b"\x7a\0" * 40_000, token=both)),
        "no message": lambda: refusal(messages(daemon, stop.path, token=both)),
        "malformed": lambda: refusal(daemon.send(stop, b"\xff", token=both)),
        "over a limit": lambda: refusal(daemon.send(stop, stop.request(id="x" * 1000), token=both)),
        "wrong field": lambda: refusal(daemon.send(RPCS["CreateContainer"], wrong, token=both)),
        "not there": lambda: refusal(daemon.send(stop, stop.request(id="no"), token=both)),
        "wrong state": lambda: refusal(daemon.send(RPCS["ResumeResource"], request, token=both)),
        "deadline": lambda: refusal(daemon.send(stop, slow, token=both, timeout=0.3)),
        "cancelled": lambda: cancelled(daemon.send(stop, slow, token=both)),
        "stream, wrong": lambda: refusal(
            daemon.send(watch, watch.request(resume_token="x"), token=both).read()
        ),
        "stream, cancelled": lambda: cancelled(daemon.send(watch, watch.request(), token=both)),
    }
    assert set(ways) == set(WAYS)
    return await ways[way]()


WAYS = (
    *("no token", "bad token", "wrong scope", "too large", "no message", "malformed"),
    *("over a limit", "wrong field", "not there", "wrong state", "deadline", "cancelled"),
    *("stream, wrong", "stream, cancelled"),
)


ENDED_LATER = {"deadline", "cancelled", "stream, cancelled"}
WITHIN = 60  # seconds


def of_calls():
    """Return the number of tasks of calls: gRPC's, on both sides, and of what goes on without it."""
    return sum(map(_is_of_a_call, asyncio.all_tasks()))


def _is_of_a_call(task):
    body = task.get_coro()
    code = getattr(body, "cr_code", None)  # what Cython made has none
    return code is None or code.co_filename == lifecycle.__file__


@pytest.mark.parametrize("way", WAYS)
async def test_call_refused_leaves_no_reference_cycle(daemon, way):
    await daemon.domain("vm", labels={"proa.memory/ignores-stop": "true"})
    idle = of_calls()

    async def over():
        return of_calls() <= idle

    await refused_call(daemon, way)  # what is made but once is no leak
    await eventually(over)

    async def left():
        with cycles() as found:
            for _ in range(3):
                assert (await refused_call(daemon, way)).code != "INTERNAL"
                await eventually(over)
        return found

    if way not in ENDED_LATER:
        assert await left() == []
        return

    # gRPC releases its objects of a call that its caller gave up a moment after the call, and
    # nothing reports when. A cycle in our own code would be left by every call.
    async def nothing_left():
        return await left() == []

    await eventually(nothing_left, within=WITHIN)


@pytest.mark.parametrize("way", ["revoked", "expired"])
async def test_call_token_ends_before_the_message_does_nothing(serve, connect, way):
    daemon = await serve(token_lifetime="2s" if way == "expired" else "1h")
    connection = await connect(daemon)
    await daemon.container("web", start=False)
    token = daemon.token(*BOTH)
    start = message(v1.StartResourceRequest(id="web").SerializeToString())
    connection.begin(RPCS["StartResource"].path, authorization=f"Bearer {token}")
    connection.send(frame(DATA, 0, 1, start[:-1]))
    async with asyncio.timeout(20):
        await connection.heard()
    if way == "revoked":
        await daemon.send(RPCS["RevokeToken"], v1.RevokeTokenRequest(), token=token)
    else:
        await eventually(lambda: not _is_good(daemon, token))
    connection.send(frame(DATA, END_STREAM, 1, start[-1:]))

    async with asyncio.timeout(20):
        ended = plain(await connection.ended())

    assert "the token" in ended, ended
    assert await daemon.state("web") == "STOPPED"


def _is_good(daemon, token):
    try:
        daemon.tokens.verify(token)
    except TokenExpiredError:
        return False
    return True


async def test_calls_of_one_user_many_at_once_are_all_read(daemon, connection):
    """More than are read at a time, whose messages come a little later."""
    token = f"Bearer {daemon.token(*BOTH)}"
    calls = range(1, 1_000, 2)
    for stream in calls:
        connection.begin(RPCS["GetCaller"].path, stream=stream, authorization=token)
    async with asyncio.timeout(60):
        await connection.heard()
    for stream in calls:
        connection.send(frame(DATA, END_STREAM, stream, message(b"")))

    ends: list[Any] = []
    async with asyncio.timeout(60):
        while len(ends) < len(calls):
            kind, flags, _stream, payload = await connection.next_frame()
            if kind == HEADERS and flags & END_STREAM:
                ends.append(plain(payload))

    assert not [end for end in ends if "too many" in end]
