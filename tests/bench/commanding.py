"""Commands inside containers, against the engine's own API, its client, and a bare stream."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from bench.bare import BareDocker
from bench.daemon import Daemon, running
from bench.interleaved import Act, p50, time_interleaved
from bench.plan import Plan
from bench.populated import IMAGE
from bench.report import Row, Target
from bench.workers import working
from proa import v1

_BUSYBOX = "proa-test/busybox:1"
_CHUNK = 64 * 2**10
_EXEC = "/proa.v1.ConsoleService/Exec"
_FORWARD_PORT = "/proa.v1.ConsoleService/ForwardPort"
_ENDLESS = 19
_TRUE = (
    "RunCommand of `true` by the bare HTTP/2 client, with the audit log; against the calls of the "
    "Engine API that docker exec makes: create, start, the output to its end, inspect."
)
_OUTPUT = (
    "Exec of a command that writes zeros, read by the Python stubs; against docker exec of the same, "
    "read through a pipe."
)
_STREAM = (
    "The same on the memory driver, whose output costs nothing; against a grpc.aio server that sends "
    "as many bytes in messages of 64 KiB, without a driver, a token or an interceptor."
)

_PORT = (
    "ForwardPort to a port of the memory driver that sends without an end; against the same "
    "grpc.aio server."
)


def commands(plan: Plan, daemon: Daemon) -> Iterator[Row]:
    """Run `true`, and commands that write much."""
    name = "proa-bench-commands"
    spec = v1.ContainerSpec(image=_BUSYBOX, name=name, command=["sleep", "100000"])
    spec.networks.add(network="none")
    made = daemon.client.containers.CreateContainer(
        v1.CreateContainerRequest(spec=spec, start=True)
    )
    id = made.resource.id
    try:
        yield _true(plan, daemon, id)
        yield _output(plan, daemon, id)
    finally:
        daemon.client.resources.DeleteResource(v1.DeleteResourceRequest(id=id, force=True))
    yield from _streams(plan)


def _true(plan: Plan, daemon: Daemon, id: str) -> Row:
    docker = BareDocker()
    request = v1.RunCommandRequest(id=id, command=v1.CommandSpec(argv=["true"]))
    encoded = request.SerializeToString()
    wanted = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["true"]}

    def bare() -> None:
        exec_id = docker.ask("POST", f"/containers/{id}/exec", wanted)["Id"]
        output = BareDocker()  # whose connection is the command's
        output("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})
        output.close()
        docker("GET", f"/exec/{exec_id}/json")

    acts: dict[str, Act] = {
        "ours": lambda: daemon.wire.call("/proa.v1.ConsoleService/RunCommand", encoded),
        "bare": bare,
    }
    times = time_interleaved(acts, plan.commands)
    docker.close()
    return Row.ratio(
        "run `true` in a container : Docker's API",
        p50(times["ours"]),
        p50(times["bare"]),
        Target("≤", 1.2),
        note=_TRUE,
    )


def _output(plan: Plan, daemon: Daemon, id: str) -> Row:
    size = plan.command_output
    start = v1.ExecStart(id=id, command=v1.CommandSpec(argv=_argv(size)))

    def docker() -> float:
        begin = time.perf_counter()
        command = ["docker", "exec", id, *_argv(size)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            read = 0
            while piece := process.stdout.read(_CHUNK):
                read += len(piece)
        assert read == size
        return time.perf_counter() - begin

    with grpc.insecure_channel(f"unix:{daemon.socket}") as channel:
        rates = _rates(plan, lambda: _read(channel, start, size, daemon.token), docker)
    return _row("output of a command : docker exec", rates, Target("≥", 0.8), _OUTPUT)


def _streams(plan: Plan) -> Iterator[Row]:
    size = plan.command_output
    with (
        TemporaryDirectory(prefix="proa-bench-") as folder,
        working(_send, f"unix:{folder}/bare.sock", size) as bare,
        running("-m", "bench.populated", "10") as daemon,
        grpc.insecure_channel(f"unix:{daemon.socket}") as ours_channel,
        grpc.insecure_channel(f"unix:{folder}/bare.sock") as bare_channel,
    ):
        bare.answer()
        spec = v1.ContainerSpec(image=IMAGE, name="commands")
        daemon.client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        start = v1.ExecStart(id="commands", command=v1.CommandSpec(argv=_argv(size)))

        def read_bare() -> float:
            return _read(bare_channel, start, size, "")

        output = _rates(plan, lambda: _read(ours_channel, start, size, daemon.token), read_bare)
        port = _rates(plan, lambda: _read_port(ours_channel, size, daemon.token), read_bare)
    yield _row(
        "a stream of output : a bare stream of equal chunks", output, Target("≥", 0.5), _STREAM
    )
    yield _row("a connection to a port : a bare stream", port, Target("≥", 0.5), _PORT)


def _argv(size: int) -> list[str]:
    return ["head", "-c", str(size), "/dev/zero"]


def _rates(plan: Plan, ours: Callable[[], float], bare: Callable[[], float]) -> tuple[float, float]:
    """Return how many megabytes a second come on both sides, asked in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(plan.command_outputs + 1):
        for side, read in zip(taken, (ours, bare), strict=True):
            seconds = read()
            if number:
                side.append(seconds)
    megabytes = plan.command_output / 2**20
    return megabytes / median(taken[0]), megabytes / median(taken[1])


def _row(work: str, rates: tuple[float, float], target: Target, note: str) -> Row:
    ours, bare = rates
    return Row(
        work=work,
        ours=f"{ours:.0f} MB/s",
        bare=f"{bare:.0f} MB/s",
        figure=ours / bare,
        target=target,
        note=note,
    )


def _read(channel: grpc.Channel, start: v1.ExecStart, size: int, token: str) -> float:
    """Read the output of one Exec, and return how long that took, in seconds."""
    method = channel.stream_stream(
        _EXEC, v1.ExecRequest.SerializeToString, v1.ExecResponse.FromString
    )
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    begin, read = time.perf_counter(), 0
    for response in method(iter([v1.ExecRequest(start=start)]), metadata=metadata):
        read += len(response.stdout)
    assert read == size
    return time.perf_counter() - begin


def _read_port(channel: grpc.Channel, size: int, token: str) -> float:
    """Read so much from a port, and return how long that took, in seconds."""
    method = channel.stream_stream(
        _FORWARD_PORT,
        v1.ForwardPortRequest.SerializeToString,
        v1.ForwardPortResponse.FromString,
    )
    start = v1.ForwardPortStart(id="commands", port=_ENDLESS)
    begin, read = time.perf_counter(), 0
    call = method(
        iter([v1.ForwardPortRequest(start=start)]), metadata=(("authorization", f"Bearer {token}"),)
    )
    for response in call:
        read += len(response.data)
        if read >= size:
            break
    seconds = time.perf_counter() - begin
    call.cancel()
    return seconds


def _send(connection: "Connection[Any, Any]", address: str, size: int) -> None:
    asyncio.run(_serve(connection, address, size))


async def _serve(connection: "Connection[Any, Any]", address: str, size: int) -> None:
    chunk = bytes(_CHUNK)

    async def send(_requests: object, context: Any) -> None:
        left = size
        while left:
            piece = chunk[:left]
            left -= len(piece)
            await context.write(v1.ExecResponse(stdout=piece))

    handler = grpc.stream_stream_rpc_method_handler(
        send, v1.ExecRequest.FromString, v1.ExecResponse.SerializeToString
    )
    server = grpc.aio.server()
    service, _, name = _EXEC[1:].partition("/")
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {name: handler})]
    )
    server.add_insecure_port(address)
    await server.start()
    connection.send("ready")
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(connection.fileno(), closed.set)
    await closed.wait()
    await server.stop(None)
