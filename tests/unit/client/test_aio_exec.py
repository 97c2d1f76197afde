"""Commands through the asyncio client, and the streams of requests below them."""

import asyncio
import itertools
from collections import Counter
from datetime import timedelta
from typing import Any

import grpc
import pytest

import proa
from eventually import eventually
from proa import v1
from proa.timing import ClientTiming
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
async def client(target):
    async with proa.aio.connect(target, **LOGIN, timeout=60) as client:
        yield client


async def until(daemon, holds):
    await asyncio.to_thread(daemon.until, holds)


async def test_process_gives_output_in_order_and_how_it_ended(client, daemon):
    daemon.outputs = [v1.ExecResponse(stdout=b"a"), v1.ExecResponse(stderr=b"b")]
    async with client.exec("web", ["cat"], stdin=b"c") as process:
        assert (process.pid, process.can_signal, process.exit) == (7, True, None)
        assert [output async for output in process] == [
            proa.Output(b"a"),
            proa.Output(b"b", is_stderr=True),
            proa.Output(b"c"),
        ]
        assert process.exit == await process.wait() == proa.Exit(0)


async def test_process_sends_what_it_is_told(client, daemon):
    async with client.exec("web", ["cat"], stdin=True) as process:
        await process.resize(3, 4)
        await until(daemon, lambda asked: len(asked) == 1)
        await process.write(b"x" * 100_000)
        said = [(await anext(process)).data for _ in range(2)]
        assert b"".join(said) == b"x" * 100_000
        await process.signal("SIGTERM")
        assert await process.wait() == proa.Exit(143, signal="SIGTERM")
    assert [name for name, _value in daemon.asked] == ["resize", "stdin", "stdin", "signal"]


async def test_process_with_its_input_closed_ends(client):
    async with client.exec("web", ["cat"], stdin=True) as process:
        await process.write(b"a")
        await process.close_stdin()
        assert await process.communicate() == (b"a", b"")
        with pytest.raises(BrokenPipeError):
            await process.write(b"b")


async def test_process_with_a_source_of_input_reads_all_of_it_while_it_writes(client):
    data = bytes(range(256)) * 40_000

    async def source():
        for start in range(0, len(data), 9999):
            yield data[start : start + 9999]

    for stdin in (data, source()):
        async with client.exec("web", ["cat"], stdin=stdin) as process:
            assert await process.communicate() == (data, b"")


async def test_process_whose_source_of_input_fails_raises_its_error(client, daemon):
    async def source():
        yield b"a"
        raise ZeroDivisionError

    async with client.exec("web", ["cat"], stdin=source()) as process:
        with pytest.raises(ZeroDivisionError):
            await process.communicate()
    assert await asyncio.to_thread(daemon.ended.wait, 60)


async def test_process_left_early_ends_its_call_and_its_tasks(client, daemon):
    async def source():
        while True:
            yield b"x" * 1000

    async with client.exec("web", ["cat"], stdin=source()) as process:
        await anext(process)
    assert await asyncio.to_thread(daemon.ended.wait, 60)
    with pytest.raises(BrokenPipeError):
        await process.write(b"x")
    own = asyncio.current_task()
    await eventually(lambda: asyncio.all_tasks() == {own})


async def test_process_whose_task_is_cancelled_ends_its_call(client, daemon):
    async def run():
        async with client.exec("web", ["cat"], stdin=True) as process:
            await process.wait()

    task = asyncio.create_task(run())
    await eventually(lambda: daemon.begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(daemon.ended.wait, 60)


async def test_process_that_is_detached_from_says_so_and_ends(client, daemon):
    async with client.exec("web", ["cat"], stdin=True) as process:
        await process.detach()
        assert [output async for output in process] == []
        with pytest.raises(ValueError, match="detached"):
            await process.wait()
    assert [name for name, _value in daemon.asked] == ["detach"]


async def test_exec_with_a_refused_token_logs_in_and_begins_again(client, daemon):
    await client.hosts.GetHost(v1.GetHostRequest())
    daemon.valid.clear()
    async with client.exec("web", ["cat"], stdin=b"a") as process:
        assert await process.communicate() == (b"a", b"")
    assert daemon.calls == {"CreateToken": 2, "GetHost": 1, "Exec": 2}
    assert len(daemon.begun) == 1


async def test_exec_that_fails_while_it_runs_raises_the_typed_error_and_is_not_repeated(
    client, daemon, status
):
    daemon.failure = status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    async with client.exec("web", ["cat"], stdin=b"a") as process:
        with pytest.raises(proa.Unauthenticated):
            await process.communicate()
    assert daemon.calls["Exec"] == 1


async def test_every_refused_exec_raises_the_typed_error(target, daemon):
    async with proa.aio.connect(target, token="old") as client:
        seen: Counter[str] = Counter()
        for _ in range(200):
            try:
                async with client.exec("web", ["cat"], stdin=b"x" * 65536):
                    seen["begun"] += 1
            except proa.Error as error:
                seen[error.reason] += 1
    assert seen == {"TOKEN_EXPIRED": 200}
    assert daemon.calls == {"Exec": 200}


async def test_every_stream_that_ends_well_with_requests_on_their_way_ends_well(client):
    """Of these, too, grpc.aio itself reports some dozens as INTERNAL."""

    async def requests():
        yield START
        yield v1.ExecRequest(end_stdin=v1.EndOfInput())
        while True:
            yield v1.ExecRequest(stdin=b"x")
            await asyncio.sleep(0)

    for _ in range(200):
        seen = [response async for response in client.console.Exec(requests())]
        assert [each.WhichOneof("message") for each in seen] == ["started", "exit"]


async def test_every_stream_refused_with_requests_on_their_way_raises_the_typed_error(target):
    """Of these, grpc.aio itself reports some dozens as INTERNAL, "Internal error from Core"."""
    async with proa.aio.connect(target, token="old") as client:

        async def requests():
            yield START
            while True:
                yield v1.ExecRequest(stdin=b"x")
                await asyncio.sleep(0)

        seen: Counter[str] = Counter()
        for _ in range(200):
            try:
                async for _response in client.console.Exec(requests()):
                    seen["begun"] += 1
            except proa.Error as error:
                seen[error.reason or error.message] += 1
    assert seen == {"TOKEN_EXPIRED": 200}


async def test_stub_that_is_written_to_sends_and_reads(client, daemon):
    call = client.console.Exec()
    await call.write(START)
    assert (await call.read()).HasField("started")
    await call.write(v1.ExecRequest(stdin=b"a"))
    assert (await call.read()).stdout == b"a"
    await call.done_writing()
    assert (await call.read()).HasField("exit")
    assert await call.read() is grpc.aio.EOF


async def test_exec_that_outlives_its_token_sends_the_next_one(target, daemon):
    daemon.token_lifetime = timedelta(seconds=2)
    async with (
        proa.aio.connect(target, **LOGIN) as client,
        client.exec("web", ["sh"], stdin=True) as process,
    ):
        await until(daemon, lambda asked: len(asked) == 2)
        await process.close_stdin()
        await process.wait()
    renewals = [value.token for name, value in daemon.asked if name == "renew"]
    assert renewals == ["token-2", "token-3"]


async def test_exec_whose_token_another_call_renewed_meanwhile_sends_the_next_one(client, daemon):
    loop = asyncio.get_running_loop()

    def renew():
        daemon.valid.clear()
        asyncio.run_coroutine_threadsafe(client.run_command("web", ["true"]), loop).result(60)

    daemon.meanwhile = renew
    async with client.exec("web", ["sh"], stdin=True):
        await until(daemon, lambda asked: len(asked) == 1)
    assert daemon.asked == [("renew", v1.TokenRenewal(token="token-2"))]


async def test_exec_with_a_token_function_sends_its_next_token(target, daemon):
    tokens = itertools.chain(["one", "one"], itertools.repeat("two"))
    daemon.valid.update({"one", "two"})

    def channel(interceptors):
        return grpc.aio.insecure_channel(target, interceptors=interceptors)

    timing = ClientTiming(renewal_check=0.05)
    async with (
        proa.aio.Client(channel, lambda: next(tokens), timing=timing) as client,
        client.exec("web", ["sh"], stdin=True),
    ):
        await until(daemon, lambda asked: len(asked) == 1)
    assert daemon.asked == [("renew", v1.TokenRenewal(token="two"))]


async def test_run_command_gives_what_came_of_it(client, daemon):
    daemon.result = v1.RunCommandResponse(
        exit=v1.CommandExit(code=3), stdout=b"out", stdout_bytes=3, stderr=b"e", stderr_bytes=1
    )
    done = await client.run_command("web", ["ls", "/"], input=b"in", timeout=600)
    assert (done.code, done.stdout, done.stderr, done.is_truncated) == (3, b"out", b"e", False)
    assert 600 < daemon.deadline < 700
    with pytest.raises(proa.CommandFailed):
        await client.run_command("web", ["ls"], check=True)


async def test_call_without_a_token_leaves_nothing_running(target):
    async def requests():
        while True:
            yield START

    def no_token():
        raise OSError("no token")

    async with proa.aio.connect(target, token=no_token) as client:
        with pytest.raises(OSError, match="no token"):
            await anext(aiter(client.console.Exec(requests())))
        own = asyncio.current_task()
        await eventually(lambda: asyncio.all_tasks() == {own}, within=5)
