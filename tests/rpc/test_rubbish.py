"""Streams of requests whose callers send what makes no sense: a clear refusal, and nothing is left."""

from typing import Any

import pytest

from proa import v1
from proad.model.scope import Scope
from rpc.daemon import BOTH
from rpc.exec_session import Attachment, Session, command
from rpc.file_calls import Upload
from rpc.port_session import PortSession

ECHO = 7
LARGE = b"x" * 65537
DATA = {Session: "stdin", Attachment: "stdin", PortSession: "data", Upload: "data"}
START = {
    Session: {"id": "web", "command": command("cat"), "stdin": True},
    Attachment: {"id": "web", "stdin": True},
    PortSession: {"id": "web", "port": ECHO},
    Upload: {"id": "web", "path": "/etc/file", "size_bytes": 3},
}
KINDS = pytest.mark.parametrize("kind", START, ids=lambda kind: kind.__name__)


@pytest.fixture
async def daemon(serve):
    daemon = await serve()
    await daemon.container("web", stdin_open=True)
    yield daemon
    # Whatever was sent, the next caller is served, and nothing of it is an error of the daemon.
    session = await Session.begun(daemon, id="web", command=command("true"))
    assert (await session.rest())[2].code == 0


async def begun(daemon, kind):
    call = kind(daemon, **START[kind])
    await call.call.read()
    return call


async def wrong(call):
    """Return the field with which a call is refused."""
    refused = await call.refused()
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    return refused.fields[0]


@KINDS
async def test_data_before_the_start_is_refused(daemon, kind):
    call = kind(daemon)
    call.say(**{DATA[kind]: b"x"})
    call.say(start=START[kind])
    assert await wrong(call) == "start"


@KINDS
@pytest.mark.parametrize("first", [{}, {"renew": {"token": "x"}}])
async def test_other_first_message_is_refused(daemon, kind, first):
    call = kind(daemon)
    call.say(**first)
    assert await wrong(call) == "start"


@KINDS
async def test_stream_without_a_message_is_refused(daemon, kind):
    call = kind(daemon)
    call.end()
    assert (await call.refused()).reason == "INVALID_ARGUMENT"


@KINDS
async def test_second_start_is_refused(daemon, kind):
    call = await begun(daemon, kind)
    call.say(start=START[kind])
    assert await wrong(call) == "start"


@KINDS
async def test_later_message_with_nothing_in_it_is_refused(daemon, kind):
    call = await begun(daemon, kind)
    call.say()
    assert await wrong(call) == "message"


@KINDS
async def test_data_beyond_its_limit_is_refused(daemon, kind):
    call = await begun(daemon, kind)
    call.say(**{DATA[kind]: LARGE})
    assert await wrong(call) == DATA[kind]


@KINDS
async def test_message_beyond_the_limit_of_its_method_is_refused(daemon, kind):
    call = await begun(daemon, kind)
    call.say(**{DATA[kind]: b"x" * 2**21})
    assert (await call.refused()).code == "RESOURCE_EXHAUSTED"


@KINDS
async def test_token_of_another_user_ends_it(daemon, kind):
    call = await begun(daemon, kind)
    call.say(renew={"token": daemon.token(*Scope, username="eve")})
    assert (await call.refused()).reason == "TOKEN_INVALID"


@pytest.mark.parametrize("kind", [Session, PortSession, Upload], ids=lambda kind: kind.__name__)
async def test_many_renewals_change_nothing(daemon, kind):
    call = await begun(daemon, kind)
    for _ in range(20):
        call.say(renew={"token": daemon.token(*BOTH)})
    call.say(**{DATA[kind]: b"abc"})
    call.end()
    if kind is Upload:
        assert (await call.call.read()).end.size_bytes == 3
    else:
        assert (await call.next())[1] == b"abc"


NOTHING: dict[str, list[dict[str, Any]]] = {
    "resize without a terminal": [{"resize": {"rows": 1, "columns": 1}}],
    "input that it does not take": [{"stdin": b"x"}, {"stdin": b""}],
    "input after its end": [{"end_stdin": {}}, {"end_stdin": {}}, {"stdin": b"x"}],
}


@pytest.mark.parametrize("what", NOTHING)
async def test_what_a_command_has_no_use_for_changes_nothing(daemon, what):
    takes_input = what == "input after its end"
    call = await Session.begun(daemon, id="web", command=command("sleep", "60"), stdin=takes_input)
    for message in NOTHING[what]:
        call.say(**message)
    call.say(signal="KILL")
    assert await call.rest() == (b"", b"", v1.CommandExit(code=137))
