"""Commands inside containers: from what a caller wants to one that runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.http.api import Answer, quoted
from proad.drivers.docker.http.byte_stream import ByteStream
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.http.upgraded import DETACH_KEYS
from proad.drivers.docker.marked_group import MarkedGroup, MarkedGroups
from proad.drivers.docker.process_group import (
    ProcessGroup,
    is_there,
    may_signal,
    may_signal_all,
)
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.running_command import ContainerCommand
from proad.drivers.docker.signal_shell import UNKNOWN_USER, SignalShell
from proad.drivers.docker.timing import CommandTiming
from proad.drivers.tolerant import INT32
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import CommandSpec, CommandStreams
from proad.model.verbs import entering_refusal

T = TypeVar("T")

# What is said of a command that did not begin, by the field that is to blame. The texts are those
# of the container runtime, and reach the engine without a code.
_BLAMED: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "command.working_dir",
        re.compile(r"chdir to cwd|working directory|Cwd must be an absolute path"),
    ),
    ("command.user", UNKNOWN_USER),
)
# The program comes before them, and may have any name.
_NO_PROGRAM = re.compile(r"executable file not found|no such file or directory")
_UNFIT_PROGRAM = re.compile(
    r"permission denied|exec format error|is a directory|argument list too long"
)

# Commands of one container that begin at a time. What is in the container can keep the runtime from
# beginning any, and each that waits costs the host a process.
_BEGINNING = 8


class ContainerCommands:
    """Starts commands inside containers.

    Args:
        engine: the engine.
        reader: reads the containers.
        is_on_this_host: whether the engine's processes are those of this host.
        timing: durations.
    """

    def __init__(
        self,
        engine: EngineClient,
        reader: ContainerReader,
        *,
        is_on_this_host: bool,
        timing: CommandTiming = CommandTiming(),
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._is_on_this_host = is_on_this_host
        self._timing = timing
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._given_up: set[asyncio.Future[ContainerCommand]] = set()
        self._marked = MarkedGroups(SignalShell(engine, reader, timing.signal), timing.signal)
        self._is_privileged = is_on_this_host and may_signal_all()
        self._sees_processes = False

    @asynccontextmanager
    async def start(
        self, id: str, spec: CommandSpec, streams: CommandStreams
    ) -> AsyncIterator[ContainerCommand]:
        """Start a command; see `ports.Commands`."""
        target = path(id, "/exec")
        marked = None if streams.detach else await self._reach(id, spec)
        answer = await self._engine.post(target, body=_request(spec, streams, marked))
        if not answer.ok:
            raise await self._refusal(id, answer)
        exec_path = f"/exec/{quoted(answer.value()['Id'].text())}"
        command = await self._begun(exec_path, id, streams, marked)
        has_failed = False
        try:
            yield command
        except BaseException:
            has_failed = True  # the caller is gone, or is to hear at once why the call ends
            raise
        finally:
            if (ending := command.close()) and not has_failed:
                limit = self._timing.signal.leave.total_seconds()
                await asyncio.wait({ending}, timeout=limit)

    async def close(self) -> None:
        """Wait a moment for commands that were given up to begin and end, and leave the others."""
        if given_up := [*self._given_up]:
            await asyncio.wait(given_up, timeout=self._timing.begin.total_seconds())
            for beginning in given_up:
                beginning.cancel()
            await asyncio.gather(*given_up, return_exceptions=True)
        await self._marked.close()

    async def _reach(self, id: str, spec: CommandSpec) -> MarkedGroup | None:
        """Return the group of a command that is to be reached by its mark; None: that is not so.

        Raises:
            StateError: the container does not run.
            CapabilityMissingError: the command has a timeout, and could not be killed.
        """
        if self._sees_processes and spec.timeout is None:
            return None
        within_reach = self._is_on_this_host and await self._is_within_reach(id)
        self._sees_processes = within_reach and self._is_privileged
        # Without the privilege, who is another user than the container's own may be out of reach.
        if within_reach and (self._is_privileged or not spec.user):
            return None
        marked = await self._marked.marked(id, spec.user)
        if marked is None and spec.timeout is not None and not within_reach:
            await self._reader.running(id)
            raise CapabilityMissingError(
                "timeouts of commands in this container",
                driver=ENGINE,
                hint="the engine has no call to kill a command, its processes are out of the "
                "daemon's reach, and the container has no POSIX shell that could; leave the timeout out",
            )
        return marked

    async def _begun(
        self, exec_path: str, id: str, streams: CommandStreams, marked: MarkedGroup | None
    ) -> ContainerCommand:
        """Return a command that runs, or has run. One that is given up before ends when it begins.

        Raises:
            EngineTimedOutError: it did not begin in time.
            ProaError: as `_begin` raises.
        """
        turns = self._turns.setdefault(id, asyncio.Semaphore(_BEGINNING))
        beginning: asyncio.Future[ContainerCommand] | None = None
        try:
            async with asyncio.timeout(self._engine.timeout.total_seconds()):
                await turns.acquire()
                beginning = asyncio.ensure_future(self._begin(exec_path, id, streams, marked))
                beginning.add_done_callback(lambda _: turns.release())
                return await asyncio.shield(beginning)
        except TimeoutError:
            if beginning is not None:
                self._give_up(beginning)
            raise EngineTimedOutError(ENGINE, begun=beginning is not None) from None
        except asyncio.CancelledError:
            if beginning is not None:
                self._give_up(beginning)
            raise  # at once: the caller may have to hear why the call ends

    def _give_up(self, beginning: "asyncio.Future[ContainerCommand]") -> None:
        """End a command once it has begun, however long that takes."""
        self._given_up.add(beginning)
        beginning.add_done_callback(self._end)

    def _end(self, beginning: "asyncio.Future[ContainerCommand]") -> None:
        self._given_up.discard(beginning)
        if not beginning.cancelled() and beginning.exception() is None:
            beginning.result().close()

    async def _refusal(self, id: str, answer: Answer) -> ProaError:
        """Return why an engine makes no command in a container."""
        with suppress(EngineConflictError):
            if error := entering_refusal(await self._reader.summary(id)):
                return error
        return _refused(answer)

    async def _detached(self, exec_path: str, id: str, streams: CommandStreams) -> None:
        body = _start(streams)
        answer = await self._engine.post(f"{exec_path}/start", body=body, container=id)
        if not answer.ok:
            raise _refused(answer)

    async def _attached(self, exec_path: str, id: str, streams: CommandStreams) -> ByteStream:
        upgraded = await self._engine.upgrade(f"{exec_path}/start", _start(streams), container=id)
        if isinstance(upgraded, Answer):
            raise _refused(upgraded)
        return await upgraded.stream()

    async def _begin(
        self, exec_path: str, id: str, streams: CommandStreams, marked: MarkedGroup | None
    ) -> ContainerCommand:
        """Return a command that runs, or has run.

        Raises:
            InvalidArgumentError: it cannot.
            EngineConflictError: it cannot for a reason that the driver does not know.
        """
        command = ContainerCommand(self._engine, id, exec_path, streams, self._timing, marked)
        try:
            if streams.detach:
                await self._detached(exec_path, id, streams)
            else:
                command.connect(await self._attached(exec_path, id, streams))
            pid = await self._pid(command)
            local = self._is_on_this_host
            group = await self._seen(lambda: ProcessGroup.of(pid, id)) if local else None
        except BaseException:
            command.close()
            raise
        reached = group is not None or marked is not None
        command.follow(pid, group, can_signal=reached or await self._has_ended(pid, id))
        if streams.size is not None:
            # Engines before API 1.42 take no size at the start, and none earlier than this.
            try:
                await command.resize(streams.size)
            except BaseException:
                command.close()
                raise
        return command

    async def _seen(self, look: Callable[[], T]) -> T:
        """Return what a look at processes shows, as soon as there are descriptors for it.

        Nobody else could end the command that is looked for.
        """
        while True:
            try:
                return look()
            except OSError:
                await asyncio.sleep(self._timing.longest_check.total_seconds())

    async def _has_ended(self, pid: int, id: str) -> bool:
        """Return whether a process of a container that is within reach has ended.

        One that is not there may also be out of sight, as from within a container.
        """
        if not self._is_on_this_host or is_there(pid):
            return False
        try:
            return await self._is_within_reach(id)
        except ProaError:
            return True  # the container has ended, too

    async def _is_within_reach(self, id: str) -> bool:
        """Return whether the processes of a container can be reached by signals.

        Raises:
            StateError: the container does not run.
        """
        resource = await self._reader.running(id)
        pid = resource.container.pid if resource.container else 0
        return self._is_on_this_host and await self._seen(lambda: may_signal(pid, id))

    async def _pid(self, command: ContainerCommand) -> int:
        """Return the number of a command's process, once there is one."""
        waited, pause = 0.0, self._timing.longest_check.total_seconds()
        await command.stir(2 * pause)  # no engine begins one in no time
        while not (pid := (now := await command.inspect())["Pid"].count(INT32)):
            if now["ExitCode"].raw is not None and not now["Running"].flag():
                text = await command.failure()
                raise _not_begun(text) or EngineConflictError(ENGINE, text)
            await command.stir(pause)
            waited += pause
            if waited > self._timing.begin.total_seconds():
                pause = self._timing.poll.total_seconds()
        return pid


def _request(
    spec: CommandSpec, streams: CommandStreams, marked: MarkedGroup | None
) -> dict[str, Any]:
    attached = not streams.detach
    mark = [marked.variable] if marked else []
    return {
        "AttachStdin": attached and (streams.stdin or streams.input is not None),
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": streams.tty,
        "Cmd": [*spec.argv],
        "Env": [*(f"{name}={value}" for name, value in spec.env.items()), *mark],
        **({"WorkingDir": spec.working_dir} if spec.working_dir else {}),
        **({"User": spec.user} if spec.user else {}),
        "DetachKeys": DETACH_KEYS,
    }


def _start(streams: CommandStreams) -> dict[str, Any]:
    body: dict[str, Any] = {"Detach": streams.detach, "Tty": streams.tty}
    if streams.size is not None:
        body["ConsoleSize"] = [streams.size.rows, streams.size.columns]
    return body


def _refused(answer: Answer) -> ProaError:
    """Return the error of a command that the engine does not begin."""
    return _not_begun(answer.text) or refused(answer.status, answer.text)


def _not_begun(text: str) -> ProaError | None:
    """Return the error of a command that did not begin; None: its cause is not known."""
    for field, pattern in _BLAMED:
        if pattern.search(text):
            return InvalidArgumentError.of(field, text)
    cause = text.rpartition('"')[2]
    if _NO_PROGRAM.search(cause):
        return InvalidArgumentError.of_program(text, is_there=False)
    if _NO_PROGRAM.search(text) or _UNFIT_PROGRAM.search(text):
        return InvalidArgumentError.of_program(text, is_there=True)
    return None
