"""The calls of the asyncio client that work inside resources."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from proa import v1
from proa.aio.attachment import AsyncAttachment
from proa.aio.inside_stream import AsyncInput
from proa.aio.logs import AsyncLogs
from proa.aio.ports import AsyncPortConnection, PortListener
from proa.aio.process import AsyncProcess
from proa.commands import (
    CompletedCommand,
    attach_start,
    command_spec,
    deadline,
    exec_start,
)
from proa.errors import Error
from proa.logs import logs_request
from proa.timing import ClientTiming


class AsyncInsideCalls:
    """What a client does inside resources, as `proa.inside.InsideCalls`.

    Args:
        console: the stub of the service.
        timing: durations.
    """

    def __init__(self, console: Any, timing: ClientTiming) -> None:
        self._console = console
        self._timing = timing

    def exec(
        self,
        id: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        tty: bool = False,
        size: tuple[int, int] | None = None,
        stdin: AsyncInput = False,
        timeout: timedelta | float | None = None,
        detach: bool = False,
    ) -> AsyncProcess:
        """Return a command inside a resource, which begins with the block and ends with it.

            async with client.exec("web", ["cat"], stdin=b"hello") as process:
                async for output in process:
                    print(output.data)
            print(process.exit.code)

        As `proa.Client.exec`; `stdin` is True, bytes or an asynchronous iterable of bytes.
        """
        command = command_spec(argv, env, user, working_dir, timeout)
        start = exec_start(id, command, stdin, size, tty=tty, detach=detach)
        return AsyncProcess(self._console.Exec, start, stdin)

    def forward_port(self, id: str, port: int = 0, *, socket_path: str = "") -> AsyncPortConnection:
        """Return a connection to a port inside a resource, as `proa.Client.forward_port` does.

        async with client.forward_port("db", 5432) as connection:
            await connection.write(b"…")
            print(await connection.read())
        """
        start = v1.ForwardPortStart(id=id, port=port, socket_path=socket_path)
        return AsyncPortConnection(self._console.ForwardPort, start)

    def listen_port(
        self,
        id: str,
        port: int = 0,
        *,
        socket_path: str = "",
        address: str = "127.0.0.1",
        local_port: int = 0,
        on_error: Callable[[Error], object] = lambda _: None,
    ) -> PortListener:
        """Return a port of this host that leads to one inside a resource, while the block runs.

            async with client.listen_port("web", 80) as listener:
                host, port = listener.address
                print(f"http://{host}:{port}/")
                await asyncio.Event().wait()

        Whoever reaches the address may connect, with the rights of this client.

        Args:
            id: id of the resource, as in all calls.
            port: the TCP port inside, from 1 to 65535.
            socket_path: in its place, the absolute path of a Unix socket inside a container.
            address: address of this host to listen on.
            local_port: the port to listen on; 0: any that is free.
            on_error: called with the error of each connection that fails; the others go on.

        Raises:
            OSError: when the block begins: the address is not of this host, or the port is taken.
        """
        return PortListener(
            lambda: self.forward_port(id, port, socket_path=socket_path),
            address,
            local_port,
            on_error,
        )

    def attach(
        self,
        id: str,
        *,
        stdin: AsyncInput | None = None,
        size: tuple[int, int] | None = None,
        exclusive: bool = False,
        force: bool = False,
    ) -> AsyncAttachment:
        r"""Return the console of a resource, attached to while the block runs.

            async with client.attach("web") as console:
                await console.write(b"date\n")
                async for output in console:
                    print(output.data)

        As `proa.Client.attach`; `stdin` is a bool, bytes or an asynchronous iterable of bytes.
        """
        start = attach_start(id, stdin, size, exclusive=exclusive, force=force)
        return AsyncAttachment(self._console.Attach, start, stdin)

    async def run_command(
        self,
        id: str,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        timeout: timedelta | float | None = None,  # noqa: ASYNC109 - of the command
        max_output: int = 0,
        check: bool = False,
    ) -> CompletedCommand:
        """Run a command inside a resource to its end, as `proa.Client.run_command` does.

        done = await client.run_command("web", ["ls", "/"], check=True)
        """
        command = command_spec(argv, env, user, working_dir, timeout)
        request = v1.RunCommandRequest(
            id=id, command=command, stdin=input, max_output_bytes=max_output
        )
        response: v1.RunCommandResponse = await self._console.RunCommand(
            request, timeout=deadline(command, self._timing)
        )
        done = CompletedCommand.of(argv, response)
        return done.checked() if check else done

    def logs(
        self,
        id: str,
        *,
        follow: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        tail: int | None = None,
        stderr: bool | None = None,
        timestamps: bool = False,
    ) -> AsyncLogs:
        """Iterate over the lines of a log, as `proa.Client.logs` does.

        async for line in client.logs("web", follow=True):
            print(line.text)
        """
        request = logs_request(
            id,
            follow=follow,
            since=since,
            until=until,
            tail=tail,
            stderr=stderr,
            timestamps=timestamps,
        )
        return AsyncLogs(self._console.StreamLogs, request)
