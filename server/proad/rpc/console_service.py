"""ConsoleService: inside resources."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc

from proa import v1
from proa.v1 import console_service_pb2_grpc
from proad.core.beside import beside
from proad.core.command_operations import CommandOperations
from proad.core.console_operations import ConsoleOperations
from proad.core.log_operations import LogOperations
from proad.core.port_operations import PortOperations
from proad.errors import InvalidArgumentError, ReaderTooSlowError
from proad.model import (
    CommandOutput,
    CommandSpec,
    CommandStreams,
    ConsoleOptions,
    LogLine,
    LogOptions,
    TerminalSize,
)
from proad.model.command import signal_number
from proad.ports import Console, PortConnection, RunningCommand
from proad.rpc import caller
from proad.rpc.decode import decode, required, required_text
from proad.rpc.encode import encode
from proad.rpc.request_stream import RequestStream
from proad.rpc.responses import write
from proad.rpc.timing import RpcTiming
from proad.rpc.user_limiter import UserLimiter

_Context = grpc.aio.ServicerContext[Any, Any]

_MOST_OUTPUT = 2**20
_DEFAULT_OUTPUT = 64 * 2**10
_LAST_PORT = 2**16 - 1
_LONGEST_PATH = 4096


class ConsoleService(console_service_pb2_grpc.ConsoleServiceServicer):
    """Converts, delegates to the core, converts.

    Args:
        commands: runs the commands.
        ports: connects to ports.
        logs: reads the logs.
        consoles: attaches callers to consoles.
        users: limits how many of them a user has under way. Streams are counted by all that
            serves them.
        timing: how long a caller who is attached may read nothing.
    """

    def __init__(
        self,
        commands: CommandOperations,
        consoles: ConsoleOperations,
        ports: PortOperations,
        logs: LogOperations,
        users: UserLimiter,
        timing: RpcTiming = RpcTiming(),
    ) -> None:
        self._commands = commands
        self._consoles = consoles
        self._ports = ports
        self._logs = logs
        self._users = users
        self._timing = timing

    async def Exec(self, stream: RequestStream, context: _Context) -> None:  # type: ignore[override] # streams of requests come as RequestStream
        start: v1.ExecStart = stream.opening("start")
        spec = decode(CommandSpec, required(start, "command"), prefix="start.command")
        streams = decode(CommandStreams, start, prefix="start")
        if streams.detach and spec.timeout is not None:
            raise InvalidArgumentError.of(
                "start.command.timeout", "must be absent with detach: nobody is there to kill it"
            )
        async with self._commands.running(required_text(start, "id"), spec, streams) as command:
            running = command.running
            started = v1.ExecStarted(pid=running.pid, can_signal=running.can_signal)
            await stream.send(v1.ExecResponse(started=started))
            if streams.detach:
                return
            try:
                async with beside(_feed_to_its_end(stream, running)):
                    async for output in running.output():
                        await stream.send(v1.ExecResponse(**_written(output)))
                    exit = encode(v1.CommandExit, await command.exit())
            except _Detached:
                running.detach()
                return
            await stream.send(v1.ExecResponse(exit=exit))

    async def Attach(self, stream: RequestStream, context: _Context) -> None:  # type: ignore[override] # streams of requests come as RequestStream
        start: v1.AttachStart = stream.opening("start")
        options = decode(ConsoleOptions, start, prefix="start")
        async with self._consoles.attached(required_text(start, "id"), options) as console:
            await stream.send(v1.AttachResponse(started=_started(console)))
            try:
                async with beside(_feed(stream, console, takes_input=console.stdin)):
                    async for output in console.output():
                        await self._send_in_time(stream, v1.AttachResponse(**_written(output)))
                    exit = await console.exit()
            except _Detached:
                return
            if exit is None:
                await stream.send(v1.AttachResponse(ended=v1.ConsoleEnd()))
            else:
                await stream.send(v1.AttachResponse(exit=encode(v1.CommandExit, exit)))

    async def _send_in_time(self, stream: RequestStream, response: v1.AttachResponse) -> None:
        """Send output; a caller who does not read it must not hold up who writes it.

        Raises:
            ReaderTooSlowError: the caller does not read.
        """
        try:
            async with asyncio.timeout(self._timing.output_unread):
                await stream.send(response)
        except TimeoutError:
            raise ReaderTooSlowError from None

    async def RunCommand(
        self, request: v1.RunCommandRequest, context: _Context
    ) -> v1.RunCommandResponse:
        spec = decode(CommandSpec, required(request, "command"), prefix="command")
        most = request.max_output_bytes
        if not 0 <= most <= _MOST_OUTPUT:
            raise InvalidArgumentError.of("max_output_bytes", f"must be from 0 to {_MOST_OUTPUT}")
        id = required_text(request, "id")
        with self._users.stream(caller.current().user_id):
            result = await self._commands.run(id, spec, request.stdin, most or _DEFAULT_OUTPUT)
        return encode(v1.RunCommandResponse, result)

    async def ForwardPort(self, stream: RequestStream, context: _Context) -> None:  # type: ignore[override] # as above
        start: v1.ForwardPortStart = stream.opening("start")
        async with self._connected(required_text(start, "id"), start) as connection:
            stands = v1.PortConnected(address=connection.address)
            await stream.send(v1.ForwardPortResponse(connected=stands))
            sent = asyncio.Event()
            async with beside(_send_on(stream, connection, sent)):
                while data := await connection.read():
                    await stream.send(v1.ForwardPortResponse(data=data))
                await stream.send(v1.ForwardPortResponse(end_output=v1.EndOfOutput()))
                async with beside(connection.stopped()):
                    await sent.wait()

    def _connected(
        self, id: str, start: v1.ForwardPortStart
    ) -> AbstractAsyncContextManager[PortConnection]:
        """Connect to what the first message of a ForwardPort names."""
        if start.socket_path:
            if start.port:
                raise InvalidArgumentError.of("start.socket_path", "must be empty beside a port")
            return self._ports.socket_connected(id, _socket_path(start.socket_path))
        if not 1 <= start.port <= _LAST_PORT:
            raise InvalidArgumentError.of(
                "start.port", f"must be from 1 to {_LAST_PORT}, or there be a socket_path instead"
            )
        return self._ports.connected(id, start.port)

    async def StreamLogs(self, request: v1.StreamLogsRequest, context: _Context) -> None:  # type: ignore[override] # writes by itself
        options = decode(LogOptions, request)
        with self._users.stream(caller.current().user_id):
            async with self._logs.reading(required_text(request, "id"), options) as batches:
                async for lines in batches:
                    if lines:
                        await write(context, _response(lines))
                        await asyncio.sleep(0)  # what is there already is read without waiting


class _Detached(Exception):  # noqa: N818 - no error, but what ends the block
    """The caller leaves."""


async def _feed_to_its_end(stream: RequestStream, running: RunningCommand) -> None:
    """Pass to a command what the requests of its stream bring, of which the end is that of its input."""
    await _feed(stream, running)
    await running.end_input()


async def _feed(
    stream: RequestStream, to: RunningCommand | Console, *, takes_input: bool = True
) -> None:
    """Pass to a command or a console what the requests of its stream bring."""
    while (request := await stream.next()) is not None:
        match request:
            case ("stdin", _) if not takes_input:
                raise InvalidArgumentError.of("stdin", "the console takes no input")
            case ("stdin", data):
                await to.write(data)
            case ("end_stdin", _):
                await to.end_input()
            case ("resize", size):
                await to.resize(decode(TerminalSize, size, prefix="resize"))
            case ("signal", name):
                await to.signal(_signal(name))
            case ("detach", _):
                raise _Detached
            case (name, _):
                raise InvalidArgumentError.of(name, "must be in the first message alone")


def _written(output: CommandOutput) -> dict[str, Any]:
    """Return the field of a response that has some output."""
    return {"stderr" if output.is_stderr else "stdout": output.data}


async def _send_on(stream: RequestStream, connection: PortConnection, sent: asyncio.Event) -> None:
    """Pass to the peer of a connection what the requests of its stream bring; set `sent` after."""
    while (request := await stream.next()) is not None:
        match request:
            case ("data", data):
                await connection.write(data)
            case ("end_input", _):
                break
            case (name, _):
                raise InvalidArgumentError.of(name, "must be in the first message alone")
    connection.end_input()
    sent.set()
    if await stream.next() is not None:
        raise InvalidArgumentError.of("message", "must not come after end_input, but for renew")


def _socket_path(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise InvalidArgumentError.of(
            "start.socket_path",
            "must be an absolute path inside the resource, without NUL; there is no way to abstract "
            "sockets",
        )
    if len(path.encode()) >= _LONGEST_PATH:
        raise InvalidArgumentError.of(
            "start.socket_path", f"must have less than {_LONGEST_PATH} bytes"
        )
    return path


def _response(lines: Sequence[LogLine]) -> v1.StreamLogsResponse:
    """Return the response with some lines. There may be millions: they are not encoded by name."""
    response = v1.StreamLogsResponse()
    add = response.lines.add
    for data, is_stderr, time, partial in lines:
        output = v1.LOG_OUTPUT_STDERR if is_stderr else v1.LOG_OUTPUT_STDOUT
        line = add(data=data, output=output, partial=partial)
        if time is not None:
            line.time.seconds, line.time.nanos = divmod(time, 10**9)
    return response


def _started(console: Console) -> v1.AttachStarted:
    return v1.AttachStarted(
        kind=v1.ResourceKind.Value(f"RESOURCE_KIND_{console.kind}"),
        tty=console.tty,
        stdin=console.stdin,
        can_resize=console.can_resize,
        can_signal=console.can_signal,
        stdin_once=console.stdin_once,
    )


def _signal(name: str) -> int:
    try:
        return signal_number(name)
    except ValueError as error:
        raise InvalidArgumentError.of("signal", str(error)) from None
