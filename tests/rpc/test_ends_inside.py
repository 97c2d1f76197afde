"""All streams into a resource, and all that ends the right to one: none is forgotten."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from eventually import consistently, eventually
from proad.auth.tokens import Tokens
from proad.control import Control
from proad.drivers.memory import MemoryDriver
from proad.model import Access
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.revocations import RevocationStore
from rpc.daemon import RPCS, Refusal
from rpc.exec_session import command
from rpc.file_calls import Upload
from rpc.tenants import tenant

# What is promised is two seconds; a machine that is busy may take longer.
GENEROUS = 60
MEGABYTES = 10_000_000
LIFETIME = 2
THIS = "the-stream-that-ends"


class _Stalled:
    """A file that an engine begins to move and never moves on.

    Args:
        file: as the driver has it.
    """

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    async def data(self):
        yield b"the beginning"
        await asyncio.Event().wait()

    async def write(self, _data):
        await asyncio.Event().wait()


class _WithoutEnd(_Stalled):
    """A file whose end does not come, though all of it may fit into what gRPC takes unread."""

    async def data(self):
        async for piece in self._file.data():
            yield piece
        await asyncio.Event().wait()


STALLS = {"/stalled": _Stalled, "/large": _WithoutEnd}


class StallingDriver(MemoryDriver):
    """Stalls at some files, once it is told to."""

    def __init__(self):
        super().__init__()
        self.open_files = 0
        self.stalls = False

    @property
    def open_commands(self):
        return len(self.commands.under_way)

    def read_file(self, id, what):
        return self._counted(super().read_file(id, what), what.path)

    def write_file(self, id, what):
        return self._counted(super().write_file(id, what), what.path)

    @asynccontextmanager
    async def _counted(self, opened, path):
        async with opened as file:
            self.open_files += 1
            try:
                kind = next((STALLS[each] for each in STALLS if path.startswith(each)), None)
                yield file if kind is None or not self.stalls else kind(file)
            finally:
                self.open_files -= 1


@dataclass(frozen=True)
class Way:
    """A stream into a resource.

    Attributes:
        method: its method.
        sent: the requests, of which the last one stays the last one.
        is_read: whether its caller reads the responses.
    """

    method: str
    sent: Callable[[], list[dict[str, Any]]]
    is_read: bool = True

    @property
    def outlives_tokens(self):
        """Whether it ends by itself, and nothing could renew it."""
        return self.method == "ReadFile"


def _alone(**fields):
    return lambda: [fields]


def _start(*more, **fields):
    return lambda: [{"start": {"id": "web", **fields}}, *more]


_MANY = command("head", "-c", str(10**12), "/dev/zero")

WAYS = {
    "Exec": Way("Exec", _start(command=command("sleep", "600"))),
    "Exec that nobody reads": Way("Exec", _start(command=_MANY), is_read=False),
    "Exec that takes no input": Way(
        "Exec",
        _start(*[{"stdin": bytes(60_000)}] * 50, command=command("sleep", "600"), stdin=True),
    ),
    "Attach": Way("Attach", _start()),
    "StreamLogs": Way("StreamLogs", _alone(id="web", follow=True)),
    "StreamLogs that nobody reads": Way(
        "StreamLogs", _alone(id="chatty", follow=True), is_read=False
    ),
    "ForwardPort": Way("ForwardPort", _start(port=9)),
    "ForwardPort that nobody reads": Way("ForwardPort", _start(port=19), is_read=False),
    "ForwardPort to a socket": Way("ForwardPort", _start(socket_path="/run/discard.sock")),
    "ReadFile": Way("ReadFile", _alone(id="web", path="/stalled")),
    "ReadFile that nobody reads": Way("ReadFile", _alone(id="web", path="/large"), is_read=False),
    "WriteFile": Way("WriteFile", _start(path="/etc/file", size_bytes=4)),
    "WriteFile that stalls": Way(
        "WriteFile", _start({"data": b"four"}, path="/stalled-too", size_bytes=4)
    ),
}


class Stream:
    """A stream under way.

    Args:
        daemon: the daemon.
        way: which stream.
        token: of its caller.
    """

    def __init__(self, daemon, way, token):
        rpc = RPCS[way.method]
        requests = [rpc.request(**fields) for fields in way.sent()]
        sent = self._sent(requests) if rpc.takes_stream else requests[0]
        self.call = daemon.send(
            rpc, sent, token=token, metadata=[("x-correlation-id", THIS)], timeout=600
        )

    async def _sent(self, requests):
        for request in requests:
            yield request
        await asyncio.Event().wait()

    async def begun(self):
        """Wait until it has begun."""
        assert await asyncio.wait_for(self.call.read(), GENEROUS) is not grpc.aio.EOF

    async def refused(self):
        """Return the refusal that it ends with."""
        try:
            async with asyncio.timeout(GENEROUS):
                while await self.call.read() is not grpc.aio.EOF:
                    pass
        except grpc.aio.AioRpcError as error:
            return Refusal.of(error)
        raise AssertionError("the call ended without an error")


@dataclass
class Scene:
    """A daemon with resources of alice, and a token of hers that is about to be worth nothing.

    Attributes:
        daemon: the daemon.
        hand_over: hands a resource to another user.
        token: hers.
    """

    daemon: Any
    hand_over: Any
    token: str


@pytest.fixture
async def scene(serve):
    control = Control()
    daemon = await serve(("local", StallingDriver()), parts={"control": control})

    async def hand_over(ref, owner):
        await control.run(json.dumps(["own", ref, owner]).encode())

    alice = await tenant(daemon, "alice")
    await tenant(daemon, "bella")
    for name, script in (("web", "echo one"), ("chatty", "seq 50000")):
        await alice.container(name, command=["sh", "-c", f"{script}; sleep 600"], stdin_open=True)
    for path in ("/stalled", "/large"):
        upload = await Upload.begun(
            daemon, id="web", path=path, size_bytes=MEGABYTES, token=alice.token
        )
        for _ in range(MEGABYTES // 50_000):
            upload.say(data=bytes(50_000))
        await upload.digest()
    daemon.driver.stalls = True
    return Scene(daemon, hand_over, alice.token)


async def _revoked_elsewhere(scene):
    claims = scene.daemon.tokens.verify(scene.token)
    async with Database.open(scene.daemon.settings.database_url.get_secret_value()) as database:
        await RevocationStore(database).add(claims.token_id, claims.expire_time)


async def _revoked(scene):
    rpc = RPCS["RevokeToken"]
    await scene.daemon.send(rpc, rpc.request(), token=scene.token)


async def _disabled(scene):
    await scene.daemon.users.set_disabled("alice", disabled=True)


async def _scope_taken(scene):
    await scene.daemon.users.set_scopes("alice", (Scope.BASIC,))


async def _access_narrowed(scene):
    await scene.daemon.users.set_access("alice", Access.OWN, "")


async def _handed_over(scene):
    for name in ("web", "chatty"):
        await scene.hand_over(name, "bella")


ENDS = {
    "token revoked": (_revoked, "TOKEN_REVOKED"),
    "token revoked by another process": (_revoked_elsewhere, "TOKEN_REVOKED"),
    "user disabled": (_disabled, "TOKEN_INVALID"),
    "scope taken": (_scope_taken, "TOKEN_INVALID"),
    "access narrowed": (_access_narrowed, "TOKEN_INVALID"),
    "resource handed over": (_handed_over, "RESOURCE_NOT_FOUND"),
}


async def ended(logged):
    """Wait until the daemon has ended a stream, and return the reason that it gave."""

    def told():
        return [
            line["reason"] or line["code"]
            for line in logged
            if line["event"] == "call" and line["correlation_id"] == THIS
        ]

    await eventually(told, within=GENEROUS, every=0.01)
    (reason,) = told()
    return reason


async def nothing_left(scene):
    """Wait until the engine has nothing open for the caller any more."""
    driver = scene.daemon.driver
    await eventually(lambda: not (driver.open_files or driver.open_commands))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", WAYS)
async def test_stream_ends_with_the_right_to_it(scene, record_property, name, end):
    way, (take, reason) = WAYS[name], ENDS[end]
    stream = Stream(scene.daemon, way, scene.token)
    await stream.begun()

    with capture_logs() as logged:
        reading = asyncio.create_task(stream.refused()) if way.is_read else None
        await take(scene)
        began = time.monotonic()
        assert await ended(logged) == reason
        record_property("seconds", time.monotonic() - began)

    assert (await (reading or stream.refused())).reason == reason
    assert not [line for line in logged if line["event"] == "fault"]
    await nothing_left(scene)


@pytest.mark.parametrize("name", WAYS)
async def test_stream_ends_with_a_token_that_is_not_renewed(scene, record_property, name):
    daemon, way = scene.daemon, WAYS[name]
    settings, began = daemon.settings, time.monotonic()
    short = Tokens(
        daemon.keys,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        lifetime=timedelta(seconds=LIFETIME),
    )
    token = short.issue("alice", tuple(Scope), daemon.versions["alice"]).token
    stream = Stream(daemon, way, token)
    with capture_logs() as logged:
        await stream.begun()
        reading = asyncio.create_task(stream.refused()) if way.is_read else None
        if way.outlives_tokens:
            await consistently(lambda: not stream.call.done(), during=2 * LIFETIME)
            stream.call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await (reading or stream.refused())
        else:
            assert await ended(logged) == "TOKEN_EXPIRED"
            record_property("seconds", time.monotonic() - began - LIFETIME)
            assert (await (reading or stream.refused())).reason == "TOKEN_EXPIRED"
    await nothing_left(scene)
