"""Exec: the streams of a command, its requests, and who may run it."""

from uuid import uuid4

import pytest

from eventually import eventually
from proad.drivers.memory import MemoryDriver
from proad.model import ContainerSpec
from rpc.daemon import IMAGE, refusal
from rpc.exec_session import EXEC, Session, command
from rpc.test_audit import lines


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


async def test_exec_has_output_and_exit_code(daemon, id):
    script = command("sh", "-c", "echo out; echo err >&2; exit 3")
    session = Session(daemon, id=id, command=script)

    name, started = await session.next()
    assert name == "started"
    assert started.pid
    assert started.can_signal
    stdout, stderr, exit = await session.rest()
    assert (stdout, stderr, exit.code, exit.timed_out) == (b"out\n", b"err\n", 3, False)


async def test_exec_reads_its_input_until_that_ends(daemon, id):
    session = await Session.begun(daemon, id=id, command=command("cat"), stdin=True)

    session.say(stdin=b"one")
    await session.until(b"one")
    session.say(stdin=b"two")
    session.say(end_stdin={})

    assert (await session.rest())[0] == b"two"


async def test_exec_input_ends_with_the_requests(daemon):
    session = await Session.begun(daemon, id="web", command=command("cat"), stdin=True)
    session.say(stdin=b"one")
    session.end()

    assert (await session.rest())[0] == b"one"


async def test_exec_without_stdin_has_none(daemon):
    session = await Session.begun(daemon, id="web", command=command("cat"))

    stdout, _, exit = await session.rest()
    assert (stdout, exit.code) == (b"", 0)


async def test_exec_terminal_has_the_size_that_it_was_given_last(daemon):
    session = await Session.begun(
        daemon,
        id="web",
        command=command("sh"),
        tty=True,
        stdin=True,
        size={"rows": 40, "columns": 100},
    )

    session.say(stdin=b"stty\n")
    await session.until(b"40 100\n")
    session.say(resize={"rows": 5, "columns": 6})
    session.say(stdin=b"stty; exit 7\n")

    stdout, _, exit = await session.rest()
    assert (stdout, exit.code) == (b"5 6\n", 7)


async def test_exec_signal_ends_the_command(daemon):
    session = await Session.begun(daemon, id="web", command=command("sleep", "60"))
    session.say(signal="TERM")

    assert (await session.rest())[2].code == 128 + 15


async def test_exec_timeout_kills_the_command(daemon):
    limited = command("sleep", "60", timeout={"nanos": 50_000_000})
    session = await Session.begun(daemon, id="web", command=limited)

    exit = (await session.rest())[2]
    assert (exit.code, exit.timed_out) == (128 + 9, True)


async def test_exec_detached_ends_with_its_start(daemon):
    session = Session(daemon, id="web", command=command("sleep", "60"), detach=True)

    name, started = await session.next()
    assert (name, bool(started.pid)) == ("started", True)
    assert not await session.call.read()


async def test_exec_ends_with_its_resource(daemon, id):
    session = await Session.begun(daemon, id=id, command=command("sleep", "60"))
    await daemon.call("StopResource", id=id, mode="STOP_MODE_FORCE")

    assert (await session.rest())[2].code == 128 + 9


WRONG = [
    ({"resize": {"rows": 1, "columns": 1}}, "start"),
    ({"start": {"id": "web"}}, "command"),
    ({"start": {"command": command("true")}}, "id"),
    ({"start": {"id": "web", "command": command()}}, "start.command.argv"),
    ({"start": {"id": "web", "command": command("")}}, "start.command.argv"),
    ({"start": {"id": "web", "command": command("a\0b")}}, "start.command.argv[0]"),
    ({"start": {"id": "web", "command": command("nothing")}}, "command.argv"),
    ({"start": {"id": "web", "command": command("true", env={"a=b": ""})}}, "start.command.env"),
    (
        {"start": {"id": "web", "command": command("true", working_dir="here")}},
        "start.command.working_dir",
    ),
    ({"start": {"id": "web", "command": command("true", timeout={})}}, "start.command.timeout"),
    ({"start": {"id": "web", "command": command("sh"), "tty": True, "size": {}}}, "start.size"),
    (
        {"start": {"id": "web", "command": command("sh", timeout={"seconds": 1}), "detach": True}},
        "start.command.timeout",
    ),
]


@pytest.mark.parametrize(("first", "field"), WRONG, ids=[field for _, field in WRONG])
async def test_exec_wrong_first_message_is_refused_with_its_field(daemon, first, field):
    session = Session(daemon)
    session.say(**first)

    refused = await session.refused()
    assert refused.reason == "INVALID_ARGUMENT"
    assert refused.fields[0].startswith(field)


LATER = [
    ({"start": {"id": "web", "command": command("true")}}, "start"),
    ({"resize": {"rows": 0, "columns": 1}}, "resize.rows"),
    ({"signal": "SIGNOTHING"}, "signal"),
    ({}, "message"),
]


@pytest.mark.parametrize(("later", "field"), LATER, ids=[field for _, field in LATER])
async def test_exec_wrong_later_message_ends_it_with_its_field(daemon, later, field):
    session = await Session.begun(daemon, id="web", command=command("sleep", "60"))
    session.say(**later)

    refused = await session.refused()
    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [field])


async def test_exec_without_a_message_is_refused(daemon):
    session = Session(daemon)
    session.end()

    assert (await session.refused()).reason == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("verb", "fields", "reason"),
    [
        ("StopResource", {"mode": "STOP_MODE_FORCE"}, "RESOURCE_NOT_RUNNING"),
        ("PauseResource", {}, "ILLEGAL_STATE"),
    ],
)
async def test_exec_in_what_does_not_run_is_refused(daemon, id, verb, fields, reason):
    await daemon.call(verb, id=id, **fields)

    refused = await Session(daemon, id=id, command=command("true")).refused()
    assert refused.reason == reason
    assert refused.metadata["path"].endswith((await daemon.call("GetResource", id=id)).resource.id)


async def test_exec_in_what_was_made_outside_is_denied(serve):
    driver = MemoryDriver()
    await driver.create_container(ContainerSpec(image=IMAGE, name="old"), start=True)
    daemon = await serve(("local", driver), policy={"foreign": "lifecycle"})

    denied = await Session(daemon, id="old", command=command("true")).refused()
    assert (denied.reason, denied.metadata["setting"]) == ("POLICY_DENIED", "foreign")


async def test_exec_beyond_the_limit_of_streams_is_refused(serve):
    daemon = await serve(user_request_streams=2)
    await daemon.container("web")
    sessions = [
        await Session.begun(daemon, id="web", command=command("sleep", "60")) for _ in range(2)
    ]

    refused = await Session(daemon, id="web", command=command("true")).refused()
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
    assert refused.metadata["setting"] == "user_request_streams"
    sessions[0].say(signal="KILL")
    await sessions[0].rest()
    await (await Session.begun(daemon, id="web", command=command("true"))).rest()


async def test_run_command_counts_as_a_stream_even_after_its_caller_has_gone(serve):
    daemon = await serve(user_request_streams=2)
    await daemon.container("web")
    gone = daemon.call(
        "RunCommand", id="web", command=command("sleep", "60"), request_id=str(uuid4()), timeout=1
    )
    assert (await refusal(gone)).code == "DEADLINE_EXCEEDED"
    await Session.begun(daemon, id="web", command=command("sleep", "60"))

    refused = await refusal(daemon.call("RunCommand", id="web", command=command("true")))
    assert refused.metadata["setting"] == "user_request_streams"
    assert (await Session(daemon, id="web", command=command("true")).refused()).reason == (
        "TOO_MANY_CALLS"
    )


async def test_exec_is_in_the_audit_log_with_the_bytes_that_it_moved(daemon):
    session = await Session.begun(daemon, id="web", command=command("cat"), stdin=True)
    session.say(stdin=b"x" * 5000)
    session.say(end_stdin={})
    await session.rest()

    begun = next(line for line in lines(daemon, "intent") if line["method_name"] == EXEC.path)
    assert begun["target"] == "web"

    async def written():
        return any("sent_bytes" in line for line in lines(daemon, "outcome"))

    await eventually(written)  # outcomes are written a moment later
    (ended,) = [line for line in lines(daemon, "outcome") if "sent_bytes" in line]
    assert ended["code"] == "OK"
    assert ended["path"].startswith("local/container/")
    assert 5000 < ended["received_bytes"] < 6000
    assert 5000 < ended["sent_bytes"] < 6000


async def test_run_command_has_exit_and_output(daemon, id):
    script = command("sh", "-c", "echo out; echo err >&2; exit 3")
    result = await daemon.call("RunCommand", id=id, command=script)

    assert (result.exit.code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert (result.stdout_bytes, result.stderr_bytes) == (4, 4)


async def test_run_command_gives_the_beginning_of_its_output(daemon):
    result = await daemon.call(
        "RunCommand", id="web", command=command("cat"), stdin=b"x" * 500_000, max_output_bytes=10
    )

    assert (result.stdout, result.stdout_bytes) == (b"x" * 10, 500_000)


@pytest.mark.parametrize("most", [-1, 2**20 + 1])
async def test_run_command_output_has_a_limit(daemon, most):
    call = daemon.call("RunCommand", id="web", command=command("true"), max_output_bytes=most)

    assert (await refusal(call)).fields == ["max_output_bytes"]


async def test_run_command_repeated_runs_once_and_keeps_no_output(daemon):
    request = {"id": "web", "command": command("sh", "-c", "echo secret; exit 3")}
    request["request_id"] = str(uuid4())

    first = await daemon.call("RunCommand", **request)
    again = await daemon.call("RunCommand", **request)

    assert (first.stdout, first.stdout_bytes) == (b"secret\n", 7)
    assert (again.exit.code, again.stdout, again.stdout_bytes) == (3, b"", 7)
    assert len(lines(daemon, "intent")) == len(lines(daemon, "outcome"))
