"""Commands through the synchronous client, and the streams of requests below them."""

import io
import itertools
import signal
import threading
from datetime import timedelta
from typing import Any

import grpc
import pytest

import proa
from eventually import wait_until
from proa import v1
from proa.request_stream import RequestStream
from proa.timing import ClientTiming
from proa.tokens import Password
from unit.client.console_server import ConsoleDaemon, served

LOGIN: dict[str, Any] = {"username": "ann", "password": "correct horse"}
START = v1.ExecRequest(start=v1.ExecStart(id="web", command=v1.CommandSpec(argv=["cat"])))


@pytest.fixture
def daemon():
    return ConsoleDaemon()  # type: ignore[abstract] # the other RPCs stay unimplemented


@pytest.fixture
def target(daemon):
    with served(daemon) as target:
        yield target


@pytest.fixture
def client(target):
    with proa.connect(target, **LOGIN, timeout=60) as client:
        yield client


def test_exec_asks_for_the_command_of_its_arguments(client, daemon):
    with client.exec(
        "web",
        ["sh", "-c", "ls"],
        env={"A": "b"},
        user="1:2",
        working_dir="/tmp",
        tty=True,
        size=(30, 100),
        stdin=True,
        timeout=timedelta(minutes=1),
    ) as process:
        assert (process.pid, process.can_signal, process.exit) == (7, True, None)
    (request,) = daemon.begun
    start = request.start
    assert (start.id, start.tty, start.stdin, start.detach) == ("web", True, True, False)
    assert (start.size.rows, start.size.columns) == (30, 100)
    command = start.command
    assert command.argv == ["sh", "-c", "ls"]
    assert command.env == {"A": "b"}
    assert (command.user, command.working_dir) == ("1:2", "/tmp")
    assert command.timeout.ToTimedelta() == timedelta(minutes=1)


def test_process_gives_output_in_order_and_how_it_ended(client, daemon):
    daemon.outputs = [v1.ExecResponse(stdout=b"a"), v1.ExecResponse(stderr=b"b")]
    with client.exec("web", ["cat"], stdin=b"c") as process:
        assert list(process) == [
            proa.Output(b"a"),
            proa.Output(b"b", is_stderr=True),
            proa.Output(b"c"),
        ]
        assert process.exit == process.wait() == proa.Exit(0)


def test_process_sends_what_it_is_told(client, daemon):
    with client.exec("web", ["cat"], stdin=True) as process:
        process.resize(3, 4)
        daemon.until(lambda asked: len(asked) == 1)
        process.write(b"x" * 100_000)
        assert b"".join(next(process).data for _ in range(2)) == b"x" * 100_000
        process.signal(signal.SIGTERM)
        assert process.wait() == proa.Exit(143, signal="SIGTERM")
    assert daemon.asked == [
        ("resize", v1.TerminalSize(rows=3, columns=4)),
        ("stdin", b"x" * 65536),
        ("stdin", b"x" * (100_000 - 65536)),
        ("signal", "SIGTERM"),
    ]


def test_process_with_its_input_closed_ends(client):
    with client.exec("web", ["cat"], stdin=True) as process:
        process.write(b"a")
        process.close_stdin()
        assert process.communicate() == (b"a", b"")
        with pytest.raises(BrokenPipeError):
            process.write(b"b")


@pytest.mark.parametrize(
    "source",
    [
        lambda data: data,
        io.BytesIO,
        lambda data: io.BufferedReader(io.BytesIO(data)),
        lambda data: (data[n : n + 999] for n in range(0, len(data), 999)),
    ],
)
def test_process_with_a_source_of_input_reads_all_of_it_while_it_writes(client, source):
    data = bytes(range(256)) * 40_000
    with client.exec("web", ["cat"], stdin=source(data)) as process:
        assert process.communicate() == (data, b"")
        assert process.exit == proa.Exit(0)


def test_process_whose_source_of_input_fails_raises_its_error(client, daemon):
    def source():
        yield b"a"
        raise ZeroDivisionError

    with client.exec("web", ["cat"], stdin=source()) as process, pytest.raises(ZeroDivisionError):
        process.communicate()
    assert daemon.ended.wait(60)


def test_process_left_early_ends_its_call_and_its_threads(client, daemon):
    before = set(threading.enumerate())
    with client.exec("web", ["cat"], stdin=itertools.repeat(b"x" * 1000)) as process:
        next(process)
    assert daemon.ended.wait(60)
    ours = "proa-"
    wait_until(
        lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith(ours)],
        threading.enumerate,
    )
    with pytest.raises(BrokenPipeError):
        process.write(b"x")


def test_process_that_nobody_reads_for_takes_no_more_than_a_few_requests(client, daemon):
    daemon.is_deaf = True
    sent = 0

    def source():
        nonlocal sent
        for sent in range(1, 10_000):  # noqa: B007 - read below
            yield b"x" * 65536

    with client.exec("web", ["cat"], stdin=source()):
        seen = [0]

        def stands_still():
            seen.append(sent)
            return 0 < sent == seen[-2]

        wait_until(stands_still, every=1)
        assert sent < 1000


def test_detached_process_has_no_output_and_no_exit(client, daemon):
    with client.exec("web", ["sleep"], detach=True) as process:
        assert process.pid == 7
        assert list(process) == []
        with pytest.raises(ValueError, match="detached"):
            process.wait()
    assert daemon.begun[0].start.detach


def test_process_that_is_detached_from_says_so_and_ends(client, daemon):
    with client.exec("web", ["cat"], stdin=True) as process:
        process.write(b"x" * 200_000)
        process.detach()
        process.communicate()
        assert process.exit is None
    assert [name for name, _value in daemon.asked] == ["stdin"] * 4 + ["detach"]


def test_refused_exec_raises_the_typed_error(client, daemon, status):
    daemon.refusal = status(grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_NOT_RUNNING")
    with pytest.raises(proa.IllegalState), client.exec("web", ["cat"]):
        pytest.fail("it has begun")
    assert daemon.calls["Exec"] == 1


def test_exec_that_fails_while_it_runs_raises_the_typed_error_and_is_not_repeated(
    client, daemon, status
):
    daemon.failure = status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    with (
        client.exec("web", ["cat"], stdin=b"a") as process,
        pytest.raises(proa.Unauthenticated),
    ):
        process.communicate()
    assert daemon.calls["Exec"] == 1


@pytest.mark.parametrize("reason", ["TOO_MANY_CALLS", "", "SHUTTING_DOWN"])
def test_exec_is_not_repeated_by_itself(client, daemon, status, reason):
    daemon.refusal = status(grpc.StatusCode.UNAVAILABLE, reason)
    with pytest.raises(proa.Unavailable), client.exec("web", ["cat"]):
        pytest.fail("it has begun")
    assert daemon.calls["Exec"] == 1


def test_exec_with_a_refused_token_logs_in_and_begins_again(client, daemon):
    client.hosts.GetHost(v1.GetHostRequest())
    daemon.valid.clear()
    with client.exec("web", ["cat"], stdin=b"a") as process:
        assert process.communicate() == (b"a", b"")
    assert daemon.calls == {"CreateToken": 2, "GetHost": 1, "Exec": 2}
    assert len(daemon.begun) == 1


def test_exec_with_a_refused_fixed_token_raises_unauthenticated(target, daemon):
    with (
        proa.connect(target, token="old") as client,
        pytest.raises(proa.Unauthenticated),
        client.exec("web", ["cat"]),
    ):
        pytest.fail("it has begun")
    assert daemon.calls == {"Exec": 1}


def test_stub_with_a_refused_token_sends_its_requests_again(client, daemon):
    client.hosts.GetHost(v1.GetHostRequest())
    daemon.valid.clear()
    requests = [START, v1.ExecRequest(stdin=b"a"), v1.ExecRequest(end_stdin=v1.EndOfInput())]
    answers = [each.WhichOneof("message") for each in client.console.Exec(requests)]
    assert answers == ["started", "stdout", "exit"]
    assert [name for name, _value in daemon.asked] == ["stdin", "end_stdin"]


def test_request_stream_of_which_more_was_sent_than_is_kept_is_not_sent_again():
    requests = RequestStream()
    piece = v1.ExecRequest(stdin=b"x" * 2**18)
    first = requests.attempt()
    assert first is not None
    for number in range(3):
        requests.send(piece)
        assert next(first) == piece
        again = requests.attempt()
        assert again is not None
        assert [next(again) for _ in range(number + 1)] == [piece] * (number + 1)
        assert next(first, None) is None
        first = again
    requests.send(piece)
    assert next(first) == piece
    assert requests.attempt() is None


def test_exec_that_outlives_its_token_sends_the_next_one(target, daemon):
    daemon.token_lifetime = timedelta(seconds=2)
    with proa.connect(target, **LOGIN) as client, client.exec("web", ["sh"], stdin=True) as process:
        daemon.until(lambda asked: len(asked) == 2)
        process.close_stdin()
        process.wait()
    renewals = [value.token for name, value in daemon.asked if name == "renew"]
    assert renewals == ["token-2", "token-3"]


def test_exec_whose_token_another_call_renewed_meanwhile_sends_the_next_one(client, daemon):
    def renew():
        daemon.valid.clear()
        client.run_command("web", ["true"])

    daemon.meanwhile = renew
    with client.exec("web", ["sh"], stdin=True):
        daemon.until(lambda asked: len(asked) == 1)
    assert daemon.asked == [("renew", v1.TokenRenewal(token="token-2"))]


def test_exec_with_a_fixed_token_sends_no_other(target, daemon):
    daemon.valid.add("ours")
    channel = grpc.insecure_channel(target)
    timing = ClientTiming(renewal_check=0.05)
    with (
        proa.Client(channel, "ours", timing=timing) as client,
        client.exec("web", ["sh"], stdin=True) as process,
    ):
        assert "proa-renewals" not in {thread.name for thread in threading.enumerate()}
        process.close_stdin()
        process.wait()
    assert [name for name, _value in daemon.asked] == ["end_stdin"]


def test_exec_with_a_token_function_sends_its_next_token(target, daemon):
    daemon.valid.add("one")
    tokens = ["one"]
    channel = grpc.insecure_channel(target)
    timing = ClientTiming(renewal_check=0.05)
    with (
        proa.Client(channel, lambda: tokens[-1], timing=timing) as client,
        client.exec("web", ["sh"], stdin=True),
    ):
        tokens.append("two")
        daemon.until(lambda asked: len(asked) == 1)
    assert daemon.asked == [("renew", v1.TokenRenewal(token="two"))]


def test_renewal_goes_on_after_the_daemon_could_not_give_a_token(target, daemon, status):
    daemon.token_lifetime = timedelta(seconds=1)
    source = Password(LOGIN["username"], LOGIN["password"])
    timing = ClientTiming(longest_backoff=0.05, renewal_margin=0.9)
    failures = iter([False, True, True, False])
    log_in = daemon.CreateToken

    def create_token(request, context):
        if next(failures, False):
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return log_in(request, context)

    daemon.CreateToken = create_token
    with served(daemon) as own:
        channel = grpc.insecure_channel(own)
        with (
            proa.Client(channel, source, timing=timing) as client,
            client.exec("web", ["sh"], stdin=True),
        ):
            daemon.until(lambda asked: len(asked) == 1)
    assert daemon.asked[0][0] == "renew"


def test_run_command_gives_what_came_of_it(client, daemon):
    daemon.result = v1.RunCommandResponse(
        exit=v1.CommandExit(code=3), stdout=b"out", stdout_bytes=10, stderr=b"e", stderr_bytes=1
    )
    done = client.run_command("web", ["ls", "/"], input=b"in", max_output=3)
    (request,) = daemon.begun
    assert (request.id, request.stdin, request.max_output_bytes) == ("web", b"in", 3)
    assert (done.argv, done.code, done.stdout, done.stderr) == (("ls", "/"), 3, b"out", b"e")
    assert done.is_truncated
    with pytest.raises(proa.CommandFailed, match=r"^'ls' failed: exit code 3$") as caught:
        client.run_command("web", ["ls"], check=True)
    assert caught.value.command.stdout == b"out"


def test_run_command_that_timed_out_fails_the_check(client, daemon):
    daemon.result = v1.RunCommandResponse(exit=v1.CommandExit(code=0, timed_out=True))
    with pytest.raises(proa.CommandFailed, match="its timeout passed"):
        client.run_command("web", ["ls"], check=True, timeout=600)
    assert 600 < daemon.deadline < 700
    daemon.result = v1.RunCommandResponse(exit=v1.CommandExit(code=0), stdout=b"a", stdout_bytes=1)
    assert not client.run_command("web", ["ls"], check=True).is_truncated
    assert daemon.deadline < 61
