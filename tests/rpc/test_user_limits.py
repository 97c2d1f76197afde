"""Limits of one user over the wire: what is refused, what is not, and what a client makes of it."""

import asyncio

import grpc

import proa.aio
from eventually import eventually
from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model.scope import Scope
from proad.reload import Reloader
from rpc.daemon import BOTH, IMAGE, RPCS, Refusal, refusal
from rpc.raw_http2 import DATA, END_STREAM, Connection, frame, message

STALLED = 20
LONG = {f"label-{n}": "x" * 4000 for n in range(16)}


async def stalled_lists(daemon, token, count):
    """Return a connection with lists whose answers nobody reads."""
    connection = await Connection.open(daemon.address)
    request = message(v1.ListResourcesRequest().SerializeToString())
    for stream in range(1, 2 * count, 2):
        connection.begin(RPCS["ListResources"].path, stream=stream, authorization=f"Bearer {token}")
        connection.send(frame(DATA, END_STREAM, stream, request))
    return connection


async def test_call_over_the_rate_is_refused_for_its_user_alone(serve):
    daemon = await serve(user_calls_per_second=1)
    await daemon.call("GetCaller")

    refused = await refusal(daemon.call("GetCaller"))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
    assert refused.metadata == {"setting": "user_calls_per_second"}
    assert 0 < refused.retry_after <= 1
    other = daemon.token(Scope.BASIC, username="bob")
    await daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), token=other)


async def test_second_token_of_a_user_shares_the_limit(serve):
    daemon = await serve(user_calls_per_second=1)
    reasons = []
    for _ in range(2):
        call = daemon.send(RPCS["GetCaller"], v1.GetCallerRequest(), token=daemon.token(*BOTH))
        try:
            await call
        except grpc.aio.AioRpcError:
            reasons.append((await refusal(call)).reason)
    assert reasons == ["TOO_MANY_CALLS"]


async def test_logins_count_and_those_over_the_rate_are_in_no_audit_log(serve):
    daemon = await serve(user_calls_per_second=1)
    login = v1.CreateTokenRequest(username="ann", password="correct horse")
    await daemon.send(RPCS["CreateToken"], login)

    async def refused():
        return (await refusal(daemon.send(RPCS["CreateToken"], login))).reason

    assert "TOO_MANY_CALLS" in [await refused() for _ in range(2)]
    rpc, token = RPCS["ListEntries"], daemon.token("audit", username="eve")
    entries = (await daemon.send(rpc, rpc.request(), token=token)).entries
    assert len(entries) < 3


async def test_client_waits_and_repeats_calls_that_were_too_many(serve):
    daemon = await serve(user_calls_per_second=2)
    async with proa.aio.connect(daemon.address, token=daemon.token(*BOTH)) as client:
        answers = await asyncio.gather(
            *(client.auth.GetCaller(v1.GetCallerRequest()) for _ in range(6))
        )
        assert [answer.username for answer in answers] == ["ann"] * 6
        await asyncio.gather(
            *(
                client.containers.CreateContainer(
                    v1.CreateContainerRequest(spec=v1.ContainerSpec(image=IMAGE, name=name))
                )
                for name in ("one", "two", "three")
            )
        )


async def test_calls_at_a_time_are_limited_and_their_end_makes_room(serve):
    daemon = await serve(user_concurrent_calls=2)
    watches = [daemon.call("WatchResources") for _ in range(2)]
    for watch in watches:
        assert (await watch.read()).events

    refused = await refusal(daemon.call("GetCaller"))
    assert refused.metadata == {"setting": "user_concurrent_calls"}
    watches.pop().cancel()

    async def served():
        try:
            await daemon.call("GetCaller")
        except grpc.aio.AioRpcError:
            return False
        return True

    await eventually(served)


async def test_calls_that_are_cancelled_or_late_are_not_counted_for_ever(serve):
    """Wherever the end finds them: before the token is checked, while they wait, while they write."""
    daemon = await serve(user_concurrent_calls=10)
    await daemon.container("web")
    for number in range(100):
        calls = [
            daemon.call("WatchResources"),
            daemon.call("WaitResource", id="web", condition={"gone": {}}, timeout=0.001),
            daemon.call("ListResources"),
            daemon.call("StopResource", id="web", timeout=0.002),
        ]
        await asyncio.sleep(number % 10 / 2000)
        for call in calls:
            call.cancel()

    async def all_fit():
        watches = [daemon.call("WatchResources") for _ in range(10)]
        try:
            for watch in watches:
                assert (await watch.read()).events
        except grpc.aio.AioRpcError:
            return False
        finally:
            for watch in watches:
                watch.cancel()
        return True

    await eventually(all_fit)


async def test_unread_answers_are_limited_and_the_end_of_their_callers_makes_room(serve):
    daemon = await serve(user_unread_bytes=2**20)
    for name in ("one", "two", "three"):
        await daemon.container(name, labels=LONG)
    token = daemon.token(*BOTH)
    size = (await daemon.call("ListResources")).ByteSize()
    assert STALLED * size > 2**21
    assert size > 2**17  # more than a window of gRPC's takes
    connection = await stalled_lists(daemon, token, STALLED)

    async def listed():
        """Return the limit that a list is refused for; None if it is served."""
        try:
            await daemon.call("ListResources")
        except grpc.aio.AioRpcError as error:
            return Refusal.of(error).metadata["setting"]
        return None

    async def is_refused():
        return await listed() == "user_unread_bytes"

    await eventually(is_refused)
    await daemon.call("GetCaller")  # for whose answer there is room
    other = daemon.token(Scope.BASIC, username="bob")
    await daemon.send(RPCS["ListResources"], v1.ListResourcesRequest(), token=other)

    connection.close()

    async def is_served():
        return await listed() is None

    await eventually(is_served)


class Wordy(MemoryDriver):
    """Writes long documents, and counts them."""

    written = 0

    async def get_domain_xml(self, id, *, inactive=False):
        self.written += 1
        return await super().get_domain_xml(id, inactive=inactive) + " " * 160_000


async def test_reads_over_the_unread_bytes_are_refused_before_their_work(serve):
    driver = Wordy()
    daemon = await serve(("local", driver), user_unread_bytes=2**20)
    made = await daemon.domain("vm", start=False)
    connection = await Connection.open(daemon.address)
    token, rpc = daemon.token(*BOTH), RPCS["GetDomainXml"]
    request = message(rpc.request(id=made.id).SerializeToString())
    for stream in range(1, 2 * STALLED, 2):
        connection.begin(rpc.path, stream=stream, authorization=f"Bearer {token}")
        connection.send(frame(DATA, END_STREAM, stream, request))

    async def is_refused():
        error = await refusal(daemon.call("GetDomainXml", id=made.id))
        return error.metadata == {"setting": "user_unread_bytes"}

    async def all_came():
        return driver.written > 5 and await is_refused()

    await eventually(all_came)
    before = driver.written
    for _ in range(50):
        assert await is_refused()

    assert driver.written == before
    connection.close()

    async def is_served():
        try:
            return await daemon.call("GetDomainXml", id=made.id)
        except grpc.aio.AioRpcError:
            return None

    await eventually(is_served)


async def test_reload_of_the_limits_is_in_force_for_the_next_call(serve, settings):
    limits = {"user_calls_per_second": 1}
    reloader = Reloader(settings(**limits), lambda: settings(**limits))
    daemon = await serve(parts={"reloader": reloader}, **limits)
    await daemon.call("GetCaller")
    limits["user_calls_per_second"] = 1000

    assert (await reloader.reload()).changed == ["user_calls_per_second"]

    async def served():
        try:
            return await daemon.call("GetCaller")
        except grpc.aio.AioRpcError:
            return None

    await eventually(served)
    for _ in range(5):
        await daemon.call("GetCaller")
