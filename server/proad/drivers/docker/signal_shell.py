"""Signals for commands in containers whose processes the daemon does not reach, by the container's shell.

The engine has no call to signal a command, nor one that tells a process by the number that it has in its
container. So such a command is marked by a variable of its environment that nobody else has, and a
second command, of the same user, finds it by that and signals its group. It is a script for the
container's own shell, with builtins alone. It is believed nothing but its exit code, and that is no more than
a claim: whether a command is over, the engine tells.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any
from weakref import WeakValueDictionary

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.timing import SignalTiming
from proad.drivers.posix_files import SHELL
from proad.drivers.tolerant import INT32
from proad.errors import EngineConflictError, EngineTimedOutError, InvalidArgumentError
from proad.model import ResourceState

MARK = "PROA_COMMAND_ID"
"""The variable by which a command is found."""
UNKNOWN_USER = re.compile(r"unable to find (?:user|group)|no matching entries in (?:passwd|group)")
"""What the container runtime says, without a code, where a container does not know a user."""

_NONE_FOUND = 92
_NO_CODE = 255
# What the engine begins in a container has a parent outside, whose number is 0 in there. In a container that
# has the processes of its host it has not, but there $3 is the number of the command. A name of a
# process may be anything, but in `status` it is one line. 1 is the main process, which may copy a mark: its group
# would be -1, and so all there is. `read` leaves out the NULs of `environ`. A
# subshell looks, since a process may always read its own environment: so the probe, of which the parent is what is
# looked for, proves that those of others can be read.
_SCRIPT = rf"""
PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /proc || exit 91
(
    for each in [0-9]*; do
        [ "$each" != 1 ] || continue
        key= value=
        {{
            while read -r key value; do
                [ "$key" != PPid: ] || break
            done <"$each/status"
        }} 2>/dev/null
        [ "$key" = PPid: ] || continue
        if [ "$value" != 0 ]; then
            [ "$PPID" != 0 ] && [ "$each" = "${{3:-$$}}" ] || continue
        fi
        {{
            while IFS= read -r line || [ -n "$line" ]; do
                case $line in
                    *"{MARK}=$1"*)
                        kill "-$2" "-$each"
                        exit
                        ;;
                esac
            done <"$each/environ"
        }} 2>/dev/null
    done
    exit {_NONE_FOUND}
)
exit $?
"""
"""Send the signal $2 to the group of the command with the mark $1."""

# Shells of one container at a time that send signals. What is in it can keep each of them from its end.
_AT_A_TIME = 4
# Containers, and users of them, of which is kept whether that works.
_MOST_KEPT = 1024


class Sent(Enum):
    """What became of a signal, as far as the shell and the engine tell."""

    SENT = auto()
    NOT_SENT = auto()
    NOT_FOUND = auto()
    CONTAINER_PAUSED = auto()
    CONTAINER_ENDED = auto()


_SENT = {0: Sent.SENT, _NONE_FOUND: Sent.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A probe, and until when it is kept."""

    probe: "asyncio.Future[bool]"
    until: float


class SignalShell:
    """Has the shells of containers send signals.

    Args:
        engine: the engine.
        reader: reads the containers.
        timing: durations.
    """

    def __init__(self, engine: EngineClient, reader: ContainerReader, timing: SignalTiming) -> None:
        self._engine = engine
        self._reader = reader
        self._timing = timing
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._running: set[asyncio.Future[int]] = set()
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def close(self) -> None:
        """Wait no more for shells."""
        calls: list[asyncio.Future[Any]] = [*self._running]
        calls += [kept.probe for kept in self._kept.values()]
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def can_signal(self, id: str, user: str) -> bool:
        """Return whether a user's commands in a container can be signalled, which is tried.

        Raises:
            InvalidArgumentError: the container does not know the user.
            EngineUnreachableError: the engine went away.
            EngineTimedOutError: the engine does not answer.
        """
        now = asyncio.get_running_loop().time()
        kept = self._kept.get((id, user))
        if kept is None or kept.until < now or (kept.probe.done() and not _worked(kept.probe)):
            if kept is None and len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            until = now + self._timing.keep.total_seconds()
            probe = asyncio.ensure_future(self._probe(id, user))
            probe.add_done_callback(_worked)  # though nobody may wait any more
            kept = self._kept[id, user] = _Kept(probe, until)
        return await asyncio.shield(kept.probe)

    async def send(self, id: str, user: str, mark: str, pid: int, number: int) -> Sent:
        """Send a signal to the group of a command.

        Args:
            id: of the container.
            user: who runs the command.
            mark: by which it is found.
            pid: its number on the engine's host; 0: not known.
            number: of the signal.

        Raises:
            EngineUnreachableError: the engine went away.
            EngineTimedOutError: the shell did not end in time.
        """
        arguments = (mark, str(number), str(pid))
        try:
            code = await self._run(id, user, {}, arguments)
        except EngineConflictError:
            return await self._refused(id)
        return _SENT.get(code, Sent.NOT_SENT)

    async def _refused(self, id: str) -> Sent:
        """Return what becomes of a signal where the engine begins no shell."""
        found = await self._reader.find_summary(id)
        if found is None:
            return Sent.CONTAINER_ENDED
        match found.state:
            case ResourceState.PAUSED:
                return Sent.CONTAINER_PAUSED
            case ResourceState.RUNNING | ResourceState.OTHER:
                return Sent.NOT_SENT
        return Sent.CONTAINER_ENDED

    async def _probe(self, id: str, user: str) -> bool:
        """Have a shell find and signal itself, with a signal that changes nothing."""
        mark = secrets.token_hex(16)
        try:
            return await self._run(id, user, {MARK: mark}, (mark, "0")) == 0
        except EngineTimedOutError:
            # Where it is the engine that hangs, this raises: nothing is known of the container.
            await self._reader.find_summary(id)
            return False
        except EngineConflictError as error:
            if UNKNOWN_USER.search(error.message):
                raise InvalidArgumentError.of("command.user", error.message) from None
            return False

    async def _run(
        self, id: str, user: str, env: Mapping[str, str], arguments: tuple[str, ...]
    ) -> int:
        """Return the exit code of the script.

        Raises:
            EngineConflictError: the engine does not begin it.
            EngineTimedOutError: it did not end in time.
            EngineUnreachableError: the engine went away.
        """
        turns = self._turns.setdefault(id, asyncio.Semaphore(_AT_A_TIME))
        try:
            async with asyncio.timeout(self._timing.shell.total_seconds()):
                await turns.acquire()
                running = asyncio.ensure_future(self._end_of(id, user, env, arguments))
                self._running.add(running)

                def ended(_: object) -> None:
                    turns.release()
                    self._running.discard(running)
                    _worked(running)

                running.add_done_callback(ended)
                return await asyncio.shield(running)
        except TimeoutError:
            raise EngineTimedOutError(ENGINE, "a signal inside the container") from None

    async def _end_of(
        self, id: str, user: str, env: Mapping[str, str], arguments: tuple[str, ...]
    ) -> int:
        """Return the exit code of the script, however late it comes: until then it takes a turn."""
        body = {
            "Cmd": [SHELL, "-c", _SCRIPT, "sh", *arguments],
            "Env": [f"{name}={value}" for name, value in env.items()],
            "User": user,
            "WorkingDir": "/",
        }
        made = await self._engine.post(path(id, "/exec"), body=body)
        if not made.ok:
            raise EngineConflictError(ENGINE, made.text)
        exec_path = f"/exec/{quoted(made.value()['Id'].text())}"
        with suppress(EngineTimedOutError):  # it may begin later
            begun = await self._engine.post(
                f"{exec_path}/start", body={"Detach": True}, container=id
            )
            if not begun.ok:
                raise EngineConflictError(ENGINE, begun.text)
        pause = self._timing.first_check.total_seconds()
        while True:
            with suppress(EngineTimedOutError):
                answer = await self._engine.get(f"{exec_path}/json", container=id)
                if answer.status == HTTPStatus.NOT_FOUND:
                    raise EngineConflictError(ENGINE, answer.text)
                now = answer.value()
                if not now["Running"].flag():
                    code = now["ExitCode"].number(high=INT32)
                    return _NO_CODE if code is None else code
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.longest_check.total_seconds())


def _worked(future: "asyncio.Future[bool] | asyncio.Future[int]") -> bool:
    """Return whether a call that is over has a result."""
    return not future.cancelled() and future.exception() is None
