"""The processes of a command that its container's own shell signals, and what is left of those."""

import asyncio
import secrets
import signal
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

import structlog

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.signal_shell import MARK, Sent, SignalShell
from proad.drivers.docker.timing import SignalTiming
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
)

_log = structlog.get_logger(__name__)

_ATTEMPTS = 3
# Commands of one container that were left and are still to be ended. Each is asked about now and then: whoever
# pauses and resumes it could have ever more of them.
_MOST_LEFT = 256
_SOON = timedelta(seconds=5)


class Ending(Protocol):
    """A command, as the engine tells of it."""

    @property
    def pid(self) -> int:
        """Its number on the engine's host; 0: not known."""

    async def has_ended(self) -> bool | None:
        """Return whether it has ended; None: the engine knows nothing of its processes."""


class MarkedGroup:
    """The group of a command that has a mark.

    Args:
        groups: all of them.
        container: id of the container.
        user: who runs the command.
    """

    def __init__(self, groups: "MarkedGroups", container: str, user: str) -> None:
        self._groups = groups
        self._timing = groups.timing
        self._container = container
        self._user = user
        self._mark = secrets.token_hex(16)
        self._turn = asyncio.Lock()

    @property
    def variable(self) -> str:
        """The mark, as the environment of the command must have it."""
        return f"{MARK}={self._mark}"

    async def signal(self, number: int, command: Ending) -> None:
        """Send a signal to the command and its group; ignore that it has ended.

        After SIGKILL it has ended. In a container that is paused, that waits until it is resumed.

        Raises:
            CapabilityMissingError: the command is not reached, and goes on.
            EngineUnreachableError: the engine went away.
            EngineTimedOutError: the engine does not answer.
        """
        async with self._turn:
            if number == signal.SIGKILL:
                reached = await self._kill(command)
            else:
                with suppress(EngineTimedOutError):
                    sent = await self._send(number, command)
                    if sent in {Sent.SENT, Sent.CONTAINER_ENDED}:
                        return
                reached = await command.has_ended() is True
        if not reached:
            raise CapabilityMissingError(
                "signals for this command",
                driver=ENGINE,
                hint="the shell of the container does not reach its processes, which go on",
            )

    def end_later(self, command: Ending) -> "asyncio.Future[None]":
        """Kill the command in the background, unless it has ended."""
        return self._groups.later(self._container, self._end(command))

    async def _end(self, command: Ending) -> None:
        is_over = False
        try:
            async with asyncio.timeout(self._timing.give_up_after.total_seconds()), self._turn:
                is_over = await self._once_reachable(command)
        except (ProaError, TimeoutError):
            is_over = False
        finally:
            if not is_over:
                _log.warning(
                    "command left in container", container=self._container, pid=command.pid
                )

    async def _once_reachable(self, command: Ending) -> bool:
        """Kill the command, once the engine answers; return whether it has ended."""
        pause = self._timing.retry
        rounds = 0
        while rounds < _ATTEMPTS:
            with suppress(EngineUnreachableError, EngineTimedOutError):
                if await command.has_ended() is True or await self._kill(command):
                    return True
                rounds += 1
            await asyncio.sleep(pause.total_seconds())
            pause = min(2 * pause, self._timing.longest_retry)
        return False

    async def _kill(self, command: Ending) -> bool:
        """Kill the command; return whether it has ended then.

        Raises:
            EngineUnreachableError: the engine went away.
            EngineTimedOutError: the engine says nothing of the command, which may go on.
        """
        answered = False
        for _ in range(_ATTEMPTS):
            sent = Sent.NOT_SENT
            with suppress(EngineTimedOutError):
                sent = await self._send(signal.SIGKILL, command)
            if sent is Sent.CONTAINER_ENDED:
                return True
            with suppress(EngineTimedOutError):
                if await self._has_ended(command, sent):
                    return True
                answered = True
        if not answered:
            raise EngineTimedOutError(ENGINE, "the kill of a command")
        return False

    async def _send(self, number: int, command: Ending) -> Sent:
        """Send a signal, once the container is not paused."""
        pause = self._timing.retry
        shell = self._groups.shell
        while True:
            sent = await shell.send(self._container, self._user, self._mark, command.pid, number)
            if sent is not Sent.CONTAINER_PAUSED:
                return sent
            await asyncio.sleep(pause.total_seconds())
            pause = min(2 * pause, self._timing.longest_retry)

    async def _has_ended(self, command: Ending, sent: Sent) -> bool:
        """Return whether the engine notes in time that the command has ended.

        Raises:
            EngineTimedOutError: it has said nothing of the command.
        """
        patience = self._timing.shell if sent is Sent.SENT else self._timing.longest_check
        pause = self._timing.first_check
        answered = False
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.total_seconds()):
                while (ended := await command.has_ended()) is False:
                    answered = True
                    await asyncio.sleep(pause.total_seconds())
                    pause = min(2 * pause, self._timing.longest_check)
                # An engine that was started anew has forgotten it: then the shell alone knows.
                return ended is True or sent is Sent.NOT_FOUND
        if not answered:
            raise EngineTimedOutError(ENGINE, "a look at a command")
        return False


class MarkedGroups:
    """The groups of the commands that have a mark.

    Args:
        shell: sends their signals.
        timing: durations.
    """

    def __init__(self, shell: SignalShell, timing: SignalTiming) -> None:
        self.shell = shell
        self.timing = timing
        self._endings: set[asyncio.Task[None]] = set()
        self._left: Counter[str] = Counter()

    async def marked(self, id: str, user: str) -> MarkedGroup | None:
        """Return a group for a command of a user in a container; None: it could not be signalled.

        Raises:
            EngineConflictError: too many commands in it are still to be ended.
        """
        if self._left[id] >= _MOST_LEFT:
            raise EngineConflictError(
                ENGINE,
                f"{self._left[id]} commands in the container that were left are still to be ended",
                hint="leave the container resumed until they are",
                retry_after=_SOON,
            )
        return MarkedGroup(self, id, user) if await self.shell.can_signal(id, user) else None

    def later(self, container: str, ending: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """End a command of a container in the background."""
        task = asyncio.create_task(ending)
        self._endings.add(task)
        self._left[container] += 1

        def ended(_: object) -> None:
            self._endings.discard(task)
            self._left[container] -= 1
            if not self._left[container]:
                del self._left[container]

        task.add_done_callback(ended)
        return task

    async def close(self) -> None:
        """Wait a moment for commands that are being killed, and leave the others."""
        if endings := [*self._endings]:
            await asyncio.wait(endings, timeout=self.timing.leave.total_seconds())
            for each in endings:
                each.cancel()
            await asyncio.gather(*endings, return_exceptions=True)
        await self.shell.close()
