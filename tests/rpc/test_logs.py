"""StreamLogs: lines, secrets, who may read them and when a stream ends; last lines in FULL views."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest

from eventually import eventually, settled
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineTimedOutError
from proad.model import LogLine
from proad.model.scope import Scope
from rpc.daemon import RPCS, refusal
from rpc.tenants import tenant
from rpc.test_audit import lines as audited
from rpc.test_watch_ends import token_for

CANARY = "canary-1138"
SCRIPT = "echo one; echo two >&2; echo three; exit 3"
FOR_LONG = "echo one; sleep 600"


def command(script):
    return ["sh", "-c", script]


async def ended(daemon, name="web", script=SCRIPT, **spec):
    """Return a container that has run a script."""
    made = await daemon.container(name, command=command(script), **spec)

    async def stopped():
        summary = await daemon.call("GetResource", id=made.id, view="RESOURCE_VIEW_SUMMARY")
        return summary.resource.state_detail.HasField("exit_code")

    await eventually(stopped)
    return made


async def texts(call):
    found = []
    while response := await call.read():
        found += [("err" if line.output == 2 else "out", line.data) for line in response.lines]
    return found


async def read(daemon, id="web", **fields):
    return await texts(daemon.call("StreamLogs", id=id, **fields))


async def first(call):
    """Return the first line of a log that is followed."""
    return (await asyncio.wait_for(call.read(), 60)).lines[0].data


async def last_word(call):
    """Return the refusal that a call ends with, long before its resource does."""
    return await asyncio.wait_for(refusal(texts(call)), 60)


async def last_lines(daemon, id="web", **fields):
    return [*(await daemon.call("GetResource", id=id, **fields)).resource.state_detail.last_lines]


async def test_log_of_a_container_that_has_ended_has_both_outputs(daemon):
    await ended(daemon)
    assert await read(daemon) == [("out", b"one"), ("err", b"two"), ("out", b"three")]
    assert await read(daemon, output="LOG_OUTPUT_STDERR", follow=True) == [("err", b"two")]
    assert await read(daemon, tail=1) == [("out", b"three")]


async def test_log_has_times_if_they_are_wanted(daemon):
    await ended(daemon)
    plain = await daemon.call("StreamLogs", id="web").read()
    timed = await daemon.call("StreamLogs", id="web", timestamps=True).read()
    assert not any(line.HasField("time") for line in plain.lines)
    assert all(line.time.seconds > 10**9 for line in timed.lines)


async def test_log_of_a_domain_is_that_of_its_serial_port(daemon):
    await daemon.domain("vm")
    assert await read(daemon, "vm") == [("out", b"imitated guest vm is up")]
    refused = await refusal(daemon.call("StreamLogs", id="vm", timestamps=True).read())
    assert (refused.code, refused.reason) == ("UNIMPLEMENTED", "CAPABILITY_MISSING")


async def test_log_that_is_followed_ends_with_the_container(daemon):
    await daemon.container("web", command=command(FOR_LONG))
    call = daemon.call("StreamLogs", id="web", follow=True, timeout=None)
    assert await first(call) == b"one"
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    assert await asyncio.wait_for(texts(call), 60) == []


async def test_log_that_is_followed_until_a_time_ends_then(daemon):
    await daemon.container("web", command=command(FOR_LONG))
    soon = {"seconds": 0}  # past: what there is, and no more
    assert await asyncio.wait_for(read(daemon, follow=True, until=soon), 60) == []


async def test_log_driver_none_is_a_missing_capability(daemon):
    await ended(daemon, log_driver="none")
    refused = await refusal(daemon.call("StreamLogs", id="web").read())
    assert (refused.code, refused.reason) == ("UNIMPLEMENTED", "CAPABILITY_MISSING")
    assert await last_lines(daemon) == []


@pytest.mark.parametrize(
    "fields", [{"id": ""}, {"id": "web", "tail": -1}, {"id": "web", "output": 9}]
)
async def test_log_of_a_bad_request_is_refused(daemon, fields):
    await ended(daemon)
    assert (await refusal(daemon.call("StreamLogs", **fields).read())).reason == "INVALID_ARGUMENT"


async def test_log_needs_the_scope_basic_alone(daemon):
    await ended(daemon)
    rpc = RPCS["StreamLogs"]
    send = partial(daemon.send, rpc, rpc.request(id="web"))
    assert len(await texts(send(token=daemon.token(Scope.BASIC)))) == 3
    refused = await refusal(send(token=daemon.token(Scope.ADVANCED)).read())
    assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_log_is_no_change_and_not_audited(daemon):
    await ended(daemon)
    before = len(audited(daemon))
    await read(daemon)
    assert len(audited(daemon)) == before


async def test_secrets_are_masked_in_logs_and_last_lines(daemon):
    script = (
        f"echo my {CANARY} is; echo second line; head -c 20000 /dev/zero; echo {CANARY}; exit 3"
    )
    secrets = {"A": {"value": CANARY}, "B": {"value": "first\nsecond"}, "C": {"value": "is"}}
    await ended(daemon, script=script, env_secret=secrets)
    log = [data for _, data in await read(daemon)]
    assert log[:2] == [b"my *** is", b"*** line"]
    assert b"".join(log[2:]) == bytes(20000) + b"***"
    found = await last_lines(daemon)
    assert found[-1].endswith("***")
    assert CANARY not in "".join(found)


async def test_stream_ends_with_its_token(daemon):
    await daemon.container("web", command=command(FOR_LONG))
    rpc = RPCS["StreamLogs"]
    request = rpc.request(id="web", follow=True)
    call = daemon.send(rpc, request, token=token_for(daemon, 3), timeout=None)
    assert (await last_word(call)).reason == "TOKEN_EXPIRED"


async def test_stream_ends_with_its_user(daemon):
    await daemon.container("web", command=command(FOR_LONG))
    call = daemon.call("StreamLogs", id="web", follow=True, timeout=None)
    assert await first(call) == b"one"
    await daemon.users.set_disabled("ann", disabled=True)
    assert (await last_word(call)).code == "UNAUTHENTICATED"


async def test_stream_ends_with_the_sight_of_its_resource(handed):
    daemon, hand_over = handed
    alice = await tenant(daemon, "alice")
    await tenant(daemon, "bella")
    await alice.container("web", command=command(FOR_LONG))
    call = alice.call("StreamLogs", id="web", follow=True)
    assert await first(call) == b"one"

    await hand_over("web", "bella")

    assert (await last_word(call)).reason == "RESOURCE_NOT_FOUND"


async def test_stream_ends_with_its_engine(daemon):
    await daemon.container("web", command=command(FOR_LONG))
    call = daemon.call("StreamLogs", id="web", follow=True, timeout=None)
    assert await first(call) == b"one"
    daemon.driver.lose()
    refused = await refusal(daemon.call("StreamLogs", id="web").read())
    assert refused.reason == "ENGINE_UNREACHABLE"
    call.cancel()


async def test_streams_beyond_the_limit_are_refused(serve):
    daemon = await serve(user_request_streams=2)
    await daemon.container("web", command=command(FOR_LONG))
    calls = [daemon.call("StreamLogs", id="web", follow=True, timeout=None) for _ in range(2)]
    for call in calls:
        assert await first(call) == b"one"

    refused = await refusal(daemon.call("StreamLogs", id="web").read())
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
    calls[0].cancel()

    async def free():
        try:
            return await read(daemon)
        except Exception:  # noqa: BLE001 - refused until the other one has ended
            return False

    await eventually(free)


class Endless(MemoryDriver):
    """Has logs that never end, and counts what is read of them."""

    def __init__(self):
        super().__init__()
        self.taken = 0
        self.read_log = self._read_log

    @asynccontextmanager
    async def _read_log(self, id, options):
        yield self._batches()

    async def _batches(self):
        while True:
            self.taken += 1
            yield [LogLine(b"x" * 100)] * 100


async def test_log_that_nobody_reads_is_not_read_ahead(serve):
    driver = Endless()
    daemon = await serve(("local", driver))
    await daemon.container("web")
    call = daemon.call("StreamLogs", id="web", follow=True, timeout=None)
    assert await first(call)
    await settled(partial(getattr, driver, "taken"))
    assert driver.taken < 2000  # of 10 kB each
    call.cancel()


async def test_full_view_of_a_bad_end_has_its_last_lines(daemon):
    await ended(daemon)
    assert await last_lines(daemon) == ["one", "two", "three"]
    assert await last_lines(daemon, view="RESOURCE_VIEW_SUMMARY") == []
    listed = await daemon.call("ListResources", view="RESOURCE_VIEW_FULL")
    assert not listed.resources[0].state_detail.last_lines

    rpc = RPCS["GetResource"]
    seen = await daemon.send(rpc, rpc.request(id="web"), token=daemon.token(Scope.BASIC))
    assert [*seen.resource.state_detail.last_lines] == ["one", "two", "three"]


async def test_last_lines_are_those_of_bad_ends_alone(daemon):
    await ended(daemon, "good", "echo one; exit 0")
    await daemon.container("runs", command=command(FOR_LONG))
    assert await last_lines(daemon, "good") == []
    assert await last_lines(daemon, "runs") == []


async def test_last_lines_are_few_short_and_harmless(daemon):
    await ended(daemon, script="seq 1000; exit 1")
    assert await last_lines(daemon) == [str(each) for each in range(981, 1001)]
    await ended(daemon, "long", "echo first; head -c 10000 /dev/zero; exit 1")
    (line,) = await last_lines(daemon, "long")
    assert set(line) == {"\ufffd"}
    assert len(line.encode()) <= 4096


async def test_last_lines_are_read_once_for_each_end(daemon):
    await ended(daemon)
    reads = []
    inner = daemon.driver.read_log

    def counted(*arguments):
        reads.append(arguments)
        return inner(*arguments)

    daemon.driver.read_log = counted
    for _ in range(3):
        assert await last_lines(daemon) == ["one", "two", "three"]
    assert len(reads) == 1
    await daemon.call("StartResource", id="web")

    async def again():
        return await last_lines(daemon) == ["one", "two", "three"] * 2

    await eventually(again)


async def test_last_lines_that_cannot_be_read_spoil_no_view(daemon):
    await ended(daemon)

    def fails(id, options):
        raise EngineTimedOutError("memory")

    daemon.driver.read_log = fails
    assert await last_lines(daemon) == []
