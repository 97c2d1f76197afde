"""Attach: the consoles of resources, who has them, and how attachments end."""

import pytest

from eventually import consistently, eventually
from proa import v1
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from rpc.exec_session import Attachment
from rpc.test_audit import lines
from rpc.test_watch_ends import CHANGES, token_for

CONTAINER = v1.RESOURCE_KIND_CONTAINER
DOMAIN = v1.RESOURCE_KIND_DOMAIN


@pytest.fixture
async def daemon(serve):
    return await served(serve)


async def served(serve, **how):
    """Return a daemon with a shell on a terminal, one without, and a domain."""
    daemon = await serve(**how)
    await daemon.container("web", stdin_open=True, tty=True)
    await daemon.container("plain", stdin_open=True)
    await daemon.domain("vm")
    return daemon


async def attached(daemon, id, **how):
    return await Attachment.begun(daemon, id=id, **how)


async def test_attach_to_a_container_is_a_shell_with_its_exit(daemon):
    session = Attachment(daemon, id="plain")
    name, started = await session.next()
    assert (name, started.kind, started.tty, started.stdin) == ("started", CONTAINER, False, True)
    assert (started.can_resize, started.can_signal, started.stdin_once) == (False, True, False)

    session.say(stdin=b"echo out; echo err >&2; exit 3\n")
    stdout, stderr, exit = await session.rest()
    assert (stdout, stderr, exit.code) == (b"out\n", b"err\n", 3)
    assert await daemon.state("plain") == "STOPPED"


async def test_attach_to_a_domain_is_a_login_and_ends_with_the_domain(daemon):
    session = Attachment(daemon, id="vm")
    name, started = await session.next()
    assert (name, started.kind, started.tty, started.stdin) == ("started", DOMAIN, True, True)
    assert not started.can_resize
    assert not started.can_signal

    await session.until(b"vm login: ")
    session.say(stdin=b"root\r")
    await session.until(b"Password: ")
    session.say(stdin=b"secret\r")
    assert b"secret" not in await session.until(b"$ ")
    session.say(stdin=b"echo hello\r")
    await session.until(b"\r\nhello\r\n$ ")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    await session.rest()


async def test_attach_terminal_has_the_size_that_it_was_given_last(daemon):
    session = await attached(daemon, "web", size={"rows": 40, "columns": 100})
    await session.until(b"$ ")
    session.say(stdin=b"stty\r")
    await session.until(b"40 100\r\n$ ")
    session.say(resize={"rows": 5, "columns": 6})
    session.say(stdin=b"stty\r")
    await session.until(b"5 6\r\n$ ")


@pytest.mark.parametrize("leave", ["detach", "end", "cancel"])
@pytest.mark.parametrize("id", ["web", "vm"])
async def test_attach_leaves_the_resource_as_it_is(daemon, id, leave):
    session = await attached(daemon, id)
    if leave == "detach":
        session.say(detach={})
        while await session.call.read():
            pass
        assert (await session.call.code()).name == "OK"
    elif leave == "end":
        session.say(stdin=b"\r")
        session.end()
        await consistently(lambda: not session.call.done(), during=0.2)
        session.call.cancel()
    else:
        session.call.cancel()

    async def again():
        return (await taken(Attachment(daemon, id=id))) == "started"

    await eventually(again)
    assert await daemon.state(id) == "RUNNING"


async def test_attach_signal_ends_the_main_process(daemon):
    session = await attached(daemon, "web")
    session.say(signal="KILL")

    assert (await session.rest())[2].code == 128 + 9


async def test_attach_without_stdin_takes_none(daemon):
    session = Attachment(daemon, id="web", stdin=False)
    assert not (await session.next())[1].stdin
    session.say(stdin=b"exit\r")

    assert (await session.refused()).fields == ["stdin"]
    assert await daemon.state("web") == "RUNNING"


async def test_attach_wants_stdin_where_there_is_none(daemon):
    await daemon.container("deaf")
    refused = await Attachment(daemon, id="deaf", stdin=True).refused()

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["start.stdin"])
    assert not (await Attachment(daemon, id="deaf").next())[1].stdin


MISSING = [
    ("plain", {"resize": {"rows": 1, "columns": 1}}),
    ("web", {"end_stdin": {}}),
    ("vm", {"resize": {"rows": 1, "columns": 1}}),
    ("vm", {"signal": "TERM"}),
    ("vm", {"end_stdin": {}}),
]


@pytest.mark.parametrize(("id", "message"), MISSING)
async def test_attach_what_a_console_has_not_is_refused(daemon, id, message):
    session = await attached(daemon, id)
    session.say(**message)

    assert (await session.refused()).reason == "CAPABILITY_MISSING"
    assert await daemon.state(id) == "RUNNING"


LATER = [
    ({"start": {"id": "web"}}, "start"),
    ({"resize": {"rows": 0, "columns": 1}}, "resize.rows"),
    ({"signal": "SIGNOTHING"}, "signal"),
    ({}, "message"),
]


@pytest.mark.parametrize(("later", "field"), LATER, ids=[field for _, field in LATER])
async def test_attach_wrong_later_message_ends_it_with_its_field(daemon, later, field):
    session = await attached(daemon, "web")
    session.say(**later)

    refused = await session.refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


@pytest.mark.parametrize(
    ("verb", "fields", "reason"),
    [
        ("StopResource", {"mode": "STOP_MODE_FORCE"}, "RESOURCE_NOT_RUNNING"),
        ("PauseResource", {}, "ILLEGAL_STATE"),
    ],
)
async def test_attach_to_what_does_not_run_is_refused(daemon, verb, fields, reason):
    await daemon.call(verb, id="web", **fields)

    assert (await Attachment(daemon, id="web").refused()).reason == reason


async def test_attach_is_shared_by_those_who_attach_to_a_container(daemon):
    first, second = await attached(daemon, "web"), await attached(daemon, "web")
    await first.until(b"$ ")
    second.say(stdin=b"echo both\r")
    for session in (first, second):
        await session.until(b"\nboth\r\n$ ")


async def test_attach_exclusive_is_refused_while_others_are_attached(daemon):
    first = await attached(daemon, "web")
    refused = await Attachment(daemon, id="web", exclusive=True).refused()
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "IN_USE")
    assert refused.metadata["console"] == "web"
    first.say(detach={})

    async def alone():
        return (await taken(Attachment(daemon, id="web", exclusive=True))) == "started"

    await eventually(alone)


async def taken(session):
    """Return the field of the first response, or the reason of the refusal."""
    try:
        name = (await session.next())[0]
    except Exception:  # noqa: BLE001 - read again below
        return (await session.refused()).reason
    return name


async def test_attach_exclusive_keeps_others_out_until_it_ends(daemon):
    first = await attached(daemon, "web", exclusive=True)
    assert (await Attachment(daemon, id="web").refused()).reason == "IN_USE"
    first.call.cancel()

    async def free():
        return (await taken(Attachment(daemon, id="web"))) == "started"

    await eventually(free)


@pytest.mark.parametrize("id", ["web", "vm"])
async def test_attach_force_takes_a_console_over(daemon, id):
    first = await attached(daemon, id, exclusive=True)
    second = await attached(daemon, id, force=True)

    refused = await first.refused()
    assert (refused.code, refused.reason) == ("ABORTED", "CONSOLE_TAKEN")
    second.say(stdin=b"\r")
    await second.until(b": " if id == "vm" else b"$ ")


async def test_attach_to_a_domain_has_one_caller(daemon):
    first = await attached(daemon, "vm")
    assert (await Attachment(daemon, id="vm").refused()).reason == "IN_USE"
    first.say(stdin=b"\r")


async def test_attach_ends_for_a_reader_who_is_too_slow_and_the_container_goes_on(serve):
    timing = DaemonTiming(rpc=RpcTiming(output_unread=0.5))
    daemon = await served(serve, timing=timing)
    slow = await attached(daemon, "plain")
    quick = await attached(daemon, "plain")
    quick.say(stdin=b"head -c 5000000 /dev/zero; echo done\n")

    said = 0
    while said < 5_000_005:
        said += len((await quick.next())[1])
    refused = await slow.refused()
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "READER_TOO_SLOW")
    quick.say(stdin=b"echo on\n")
    await quick.until(b"on\n")


async def test_attach_ends_with_its_token_and_the_container_goes_on(daemon):
    session = await attached(daemon, "web", token=token_for(daemon, 2))

    assert (await session.refused()).reason == "TOKEN_EXPIRED"
    assert await daemon.state("web") == "RUNNING"


async def test_attach_goes_on_with_a_renewed_token(daemon):
    session = await attached(daemon, "web", token=token_for(daemon, 2))
    session.say(renew={"token": token_for(daemon, 600)})

    await consistently(lambda: not session.call.done(), during=3)


@pytest.mark.parametrize("change", CHANGES)
async def test_attach_ends_with_its_user(daemon, change):
    session = await attached(daemon, "web")
    await CHANGES[change](daemon.users)

    assert (await session.refused()).reason == "TOKEN_INVALID"


async def test_attach_is_in_the_audit_log_with_the_bytes_that_it_moved(daemon):
    session = await attached(daemon, "plain")
    session.say(stdin=b"echo " + b"x" * 5000 + b"; exit\n")
    await session.rest()

    path = Attachment.rpc.path
    begun = next(line for line in lines(daemon, "intent") if line["method_name"] == path)
    assert begun["target"] == "plain"

    async def written():
        return any("sent_bytes" in line for line in lines(daemon, "outcome"))

    await eventually(written)  # outcomes are written a moment later
    (ended,) = [line for line in lines(daemon, "outcome") if "sent_bytes" in line]
    assert ended["code"] == "OK"
    assert 5000 < ended["received_bytes"] < 6000
    assert 5000 < ended["sent_bytes"] < 6000


async def test_attach_counts_as_a_stream_of_its_user(serve):
    daemon = await served(serve, user_request_streams=1)
    await attached(daemon, "web")

    assert (await Attachment(daemon, id="web").refused()).reason == "TOO_MANY_CALLS"
