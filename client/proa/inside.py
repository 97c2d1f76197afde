"""The calls of the synchronous client that work inside resources."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from proa import v1
from proa.attachment import Attachment
from proa.commands import (
    CompletedCommand,
    Input,
    attach_start,
    command_spec,
    deadline,
    exec_start,
)
from proa.logs import Logs, logs_request
from proa.ports import PortConnection
from proa.process import Process
from proa.timing import ClientTiming


class InsideCalls:
    """What a client does inside resources.

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
        stdin: Input = False,
        timeout: timedelta | float | None = None,
        detach: bool = False,
    ) -> Process:
        r"""Return a command inside a resource, which begins with the block and ends with it.

            with client.exec("web", ["sh", "-c", "echo $WHO; exit 3"], env={"WHO": "me"}) as process:
                for output in process:
                    print("err" if output.is_stderr else "out", output.data)
            print(process.exit.code)

            with client.exec("web", ["sha256sum"], stdin=Path("image.raw").open("rb")) as process:
                stdout, stderr = process.communicate()

            with client.exec("web", ["sh"], stdin=True) as process:
                process.write(b"hostname\n")
                print(next(process).data)

        A block that is left earlier kills the command with the processes of its group, where
        `process.can_signal`. The token is renewed while the command runs.

        Args:
            id: id of the resource, as in all calls.
            argv: the program and its arguments; no shell reads them.
            env: variables of its environment, beside those that it has anyway.
            user: USER, USER:GROUP or their numbers; default: that of the resource.
            working_dir: where it runs; default: where the resource's own process does.
            tty: whether it has a terminal, on which stdout and stderr are one.
            size: rows and columns of the terminal.
            stdin: what it reads: nothing; with True, what `write` is given; or bytes, a binary
                file or an iterable of bytes, which a thread sends while the output is read.
            timeout: how long it may run, in seconds: then it is killed.
            detach: leave it running, without its output.

        Raises:
            TypeError: `argv` is one text.
            proa.Error: when the block begins or the output is read: the command was not started,
                or the call was ended.
        """
        command = command_spec(argv, env, user, working_dir, timeout)
        start = exec_start(id, command, stdin, size, tty=tty, detach=detach)
        return Process(self._console.Exec, start, stdin)

    def forward_port(self, id: str, port: int = 0, *, socket_path: str = "") -> PortConnection:
        r"""Return a connection to a port inside a resource, which stands while the block runs.

            with client.forward_port("web", 80) as connection:
                connection.write(b"GET / HTTP/1.0\r\n\r\n")
                print(b"".join(connection))

            with client.forward_port("db", socket_path="/run/postgresql/.s.PGSQL.5432") as connection:
                ...

        Of a container the port is that of its own loopback, where the daemon may enter its network;
        of a domain that of the address that libvirt leased to it. The token is renewed while the
        connection stands.

        Args:
            id: id of the resource, as in all calls.
            port: the TCP port inside, from 1 to 65535.
            socket_path: in its place, the absolute path of a Unix socket inside a container.

        Raises:
            proa.Error: when the block begins: nobody listens there (CONNECTION_FAILED), or the call
                was refused; later: the connection broke, or the call was ended.
        """
        start = v1.ForwardPortStart(id=id, port=port, socket_path=socket_path)
        return PortConnection(self._console.ForwardPort, start)

    def attach(
        self,
        id: str,
        *,
        stdin: Input | None = None,
        size: tuple[int, int] | None = None,
        exclusive: bool = False,
        force: bool = False,
    ) -> Attachment:
        r"""Return the console of a resource: of a container's main process, or a serial console.

            with client.attach("web") as console:
                console.write(b"date\n")
                for output in console:
                    print(output.data)

        The resource goes on after the block, and output is what is written from its beginning on.
        The token is renewed while the block runs.

        Args:
            id: id of the resource, as in all calls.
            stdin: its input: what `write` is given, where it takes any; with True it must; with
                False none; or bytes, a binary file or an iterable of bytes, which a thread sends
                while the output is read.
            size: rows and columns of the caller's terminal, for a console that has a size.
            exclusive: fail where others are attached, and keep others out meanwhile.
            force: end what others have attached.

        Raises:
            proa.Error: when the block begins or the output is read: it was not attached, or the call
                was ended, as by a caller who takes the console over (CONSOLE_TAKEN).
        """
        start = attach_start(id, stdin, size, exclusive=exclusive, force=force)
        return Attachment(self._console.Attach, start, stdin)

    def run_command(
        self,
        id: str,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        timeout: timedelta | float | None = None,
        max_output: int = 0,
        check: bool = False,
    ) -> CompletedCommand:
        """Run a command inside a resource to its end, as `subprocess.run` does.

            done = client.run_command("web", ["ls", "/"], check=True)
            print(done.stdout.decode())

        For long output, or much input, use `exec`.

        Args:
            id: id of the resource, as in all calls.
            argv: the program and its arguments; no shell reads them.
            input: its whole standard input, up to 512 KiB.
            env: as in `exec`.
            user: as in `exec`.
            working_dir: as in `exec`.
            timeout: how long it may run, in seconds: then it is killed, and `exit.timed_out` set.
            max_output: bytes of stdout and of stderr to keep, up to 1 MiB; 0: 64 KiB.
            check: whether a command that does not succeed is an error.

        Raises:
            TypeError: `argv` is one text.
            proa.CommandFailed: `check`, and its exit code is not 0, or its timeout passed.
            proa.Error: the command was not started, or its end is not known.
        """
        command = command_spec(argv, env, user, working_dir, timeout)
        request = v1.RunCommandRequest(
            id=id, command=command, stdin=input, max_output_bytes=max_output
        )
        response: v1.RunCommandResponse = self._console.RunCommand(
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
    ) -> Logs:
        r"""Iterate over the lines of a log, of a resource that has ended, too.

            for line in client.logs("web", tail=100):
                print("err" if line.is_stderr else "out", line.text)

            with client.logs("web", follow=True) as lines:
                ready = any(b"ready" in line.data for line in lines)

        The lines are what runs inside has written: escape them before they go to a terminal. With
        `follow` they end with the run of the resource. When the token expires, another call goes on
        where the one before has ended; of a domain it misses what is written in between.

        Args:
            id: id of the resource, as in all calls.
            follow: go on with what comes, until the resource ends.
            since: only lines that the engine got then or later (containers).
            until: only lines that the engine got until then (containers).
            tail: so many lines from the end to begin with; None: all.
            stderr: only lines of the standard error, or with False only those of the standard
                output.
            timestamps: give lines their time (containers); those that are followed have it.

        Raises:
            proa.Error: from the iterator: the log cannot be read, or the call was ended.
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
        return Logs(self._console.StreamLogs, request)
