"""ForwardPort: the bytes of a connection, its ends, and who may have one."""

import asyncio

import pytest

from eventually import eventually
from proad.drivers.memory import MemoryDriver
from proad.model import ContainerSpec
from rpc.daemon import IMAGE
from rpc.port_session import FORWARD_PORT, PortSession
from rpc.test_audit import lines
from rpc.test_watch_ends import token_for

ECHO, DISCARD, ENDLESS, WEB, NOBODY = 7, 9, 19, 80, 1


@pytest.fixture
async def daemon(serve):
    daemon = await serve()
    await daemon.container("web")
    await daemon.domain("vm")
    return daemon


@pytest.fixture(params=["web", "vm"])
def id(request):
    """Return a resource of each kind."""
    return request.param


async def test_port_passes_bytes_both_ways(daemon, id):
    session = PortSession(daemon, id=id, port=ECHO)
    name, connected = await session.next()
    assert (name, connected.address) == ("connected", f"127.0.0.1:{ECHO}")

    session.say(data=b"one")
    assert await session.next() == ("data", b"one")
    session.say(data=b"two")
    session.say(end_input={})

    assert await session.rest() == b"two"
    assert await session.next() is None


async def test_socket_passes_bytes_both_ways_and_ends_with_its_resource(daemon):
    session = PortSession(daemon, id="web", socket_path="/run/echo.sock")
    name, connected = await session.next()
    assert (name, connected.address) == ("connected", "/run/echo.sock")
    session.say(data=b"one")
    assert await session.next() == ("data", b"one")

    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    assert (await session.refused()).reason == "RESOURCE_NOT_RUNNING"


async def test_socket_where_nobody_listens_is_refused_with_a_way_out(daemon):
    refused = await PortSession(daemon, id="web", socket_path="/run/nobody.sock").refused()

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "CONNECTION_FAILED")
    assert (refused.metadata["cause"], refused.metadata["socket_path"]) == (
        "refused",
        "/run/nobody.sock",
    )
    assert "nobody listens on /run/nobody.sock" in refused.message


async def test_socket_of_a_domain_is_a_capability_that_is_missing(daemon):
    refused = await PortSession(daemon, id="vm", socket_path="/run/echo.sock").refused()

    assert (refused.code, refused.reason) == ("UNIMPLEMENTED", "CAPABILITY_MISSING")


async def test_port_data_that_is_empty_is_nothing(daemon):
    session = await PortSession.connected(daemon, id="web", port=ECHO)
    session.say(data=b"")
    session.say(data=b"one")

    assert await session.next() == ("data", b"one")


async def test_port_data_that_is_empty_counts_as_calls(serve):
    daemon = await serve(user_calls_per_second=20)
    await daemon.container("web")
    session = await PortSession.connected(daemon, id="web", port=ECHO)
    for _ in range(2000):
        session.say(data=b"")

    assert (await session.refused()).reason == "TOO_MANY_CALLS"


async def test_port_side_ends_with_the_requests(daemon):
    session = await PortSession.connected(daemon, id="web", port=ECHO)
    session.say(data=b"one")
    session.end()

    assert await session.rest() == b"one"
    assert await session.next() is None


async def test_port_whose_peer_ends_first_takes_what_still_comes(daemon):
    session = await PortSession.connected(daemon, id="web", port=WEB)
    session.say(data=b"GET / HTTP/1.0\r\n\r\n")
    assert (await session.rest()).endswith(b"hello from the imitated workload\n")

    session.say(data=b"more")
    session.say(renew={"token": daemon.token("basic", "advanced")})
    session.say(end_input={})
    assert await session.next() is None


async def test_port_where_nobody_listens_is_refused_with_a_way_out(daemon, id):
    refused = await PortSession(daemon, id=id, port=NOBODY).refused()

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "CONNECTION_FAILED")
    assert refused.metadata["cause"] == "refused"
    assert "nobody listens on port 1" in refused.message


WRONG = [
    ({"data": b"x"}, "start"),
    ({"start": {"port": ECHO}}, "id"),
    ({"start": {"id": "web"}}, "start.port"),
    ({"start": {"id": "web", "port": -1}}, "start.port"),
    ({"start": {"id": "web", "port": 65536}}, "start.port"),
    ({"start": {"id": "web", "port": 80, "socket_path": "/a"}}, "start.socket_path"),
    ({"start": {"id": "web", "socket_path": "run/a"}}, "start.socket_path"),
    ({"start": {"id": "web", "socket_path": "@abstract"}}, "start.socket_path"),
    ({"start": {"id": "web", "socket_path": "\0abstract"}}, "start.socket_path"),
    ({"start": {"id": "web", "socket_path": "/run/a\0b"}}, "start.socket_path"),
    ({"start": {"id": "web", "socket_path": "/" + "a" * 4095}}, "start.socket_path"),
    ({"start": {"id": "web", "socket_path": "/" + "\u00e4" * 4000}}, "start.socket_path"),
]


@pytest.mark.parametrize(("first", "field"), WRONG)
async def test_port_wrong_first_message_is_refused_with_its_field(daemon, first, field):
    session = PortSession(daemon)
    session.say(**first)

    refused = await session.refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


async def test_port_beginning_without_a_place_names_both_that_there_are(daemon):
    refused = await PortSession(daemon, id="web").refused()

    assert "from 1 to 65535, or there be a socket_path" in refused.message


@pytest.mark.parametrize(
    ("later", "field"),
    [
        ([{"start": {"id": "web", "port": ECHO}}], "start"),
        ([{"data": b"x" * 65537}], "data"),
        ([{"end_input": {}}, {"data": b"x"}], "message"),
        ([{}], "message"),
    ],
)
async def test_port_wrong_later_message_ends_it_with_its_field(daemon, later, field):
    session = await PortSession.connected(daemon, id="web", port=ENDLESS)
    for message in later:
        session.say(**message)

    refused = await session.refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


async def test_port_ends_with_its_resource(daemon, id):
    session = await PortSession.connected(daemon, id=id, port=DISCARD)
    await daemon.call("StopResource", id=id, mode="STOP_MODE_FORCE")

    assert (await session.refused()).reason == "RESOURCE_NOT_RUNNING"


async def test_port_whose_peer_has_ended_ends_with_its_resource(daemon, id):
    session = await PortSession.connected(daemon, id=id, port=WEB)
    session.say(data=b"GET / HTTP/1.0\r\n\r\n")
    await session.rest()
    await daemon.call("RestartResource", id=id, mode="RESTART_MODE_FORCE")

    assert (await session.refused()).reason == "RESOURCE_NOT_RUNNING"


async def test_port_ends_with_its_token(daemon):
    session = await PortSession.connected(
        daemon, id="web", port=DISCARD, token=token_for(daemon, 2)
    )

    assert (await asyncio.wait_for(session.refused(), 60)).reason == "TOKEN_EXPIRED"


async def test_port_of_what_does_not_run_is_refused(daemon, id):
    await daemon.call("StopResource", id=id, mode="STOP_MODE_FORCE")

    refused = await PortSession(daemon, id=id, port=ECHO).refused()
    assert refused.reason == "RESOURCE_NOT_RUNNING"


async def test_port_of_what_was_made_outside_is_denied(serve):
    driver = MemoryDriver()
    await driver.create_container(ContainerSpec(image=IMAGE, name="old"), start=True)
    daemon = await serve(("local", driver), policy={"foreign": "lifecycle"})

    for place in ({"port": ECHO}, {"socket_path": "/run/echo.sock"}):
        denied = await PortSession(daemon, id="old", **place).refused()
        assert (denied.reason, denied.metadata["setting"]) == ("POLICY_DENIED", "foreign")


async def test_two_hundred_ports_at_a_time_and_no_more(daemon):
    sessions = await asyncio.gather(
        *(PortSession.connected(daemon, id="web", port=ECHO) for _ in range(200))
    )
    refused = await PortSession(daemon, id="web", port=ECHO).refused()
    assert refused.metadata["setting"] == "user_request_streams"

    for number, session in enumerate(sessions):
        session.say(data=b"%d" % number)
        session.say(end_input={})
    answers = await asyncio.gather(*(session.rest() for session in sessions))
    assert answers == [b"%d" % number for number in range(200)]


async def test_port_that_nobody_reads_waits(daemon):
    session = await PortSession.connected(daemon, id="web", port=ENDLESS)
    await asyncio.wait_for(session.next(), 30)
    session.call.cancel()

    async def written():
        return any("sent_bytes" in line for line in lines(daemon, "outcome"))

    await eventually(written)
    (ended,) = [line for line in lines(daemon, "outcome") if "sent_bytes" in line]
    assert ended["sent_bytes"] < 8 * 2**20


async def test_port_is_in_the_audit_log_with_the_bytes_that_it_moved(daemon):
    session = await PortSession.connected(daemon, id="web", port=ECHO)
    session.say(data=b"x" * 5000)
    session.say(end_input={})
    await session.rest()
    await session.next()

    begun = next(
        line for line in lines(daemon, "intent") if line["method_name"] == FORWARD_PORT.path
    )
    assert begun["target"] == "web"

    async def written():
        return any("sent_bytes" in line for line in lines(daemon, "outcome"))

    await eventually(written)  # outcomes are written a moment later
    (ended,) = [line for line in lines(daemon, "outcome") if "sent_bytes" in line]
    assert (ended["code"], ended["path"].startswith("local/container/")) == ("OK", True)
    assert 5000 < ended["received_bytes"] < 6000
    assert 5000 < ended["sent_bytes"] < 6000
