"""Commands inside domains, run by their guest agents."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from proad.drivers.libvirt.agent import scripts
from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.captured_command import CapturedCommand
from proad.drivers.libvirt.agent.endings import Endings
from proad.drivers.libvirt.agent.filed_command import FiledCommand, unfit_program
from proad.drivers.libvirt.agent.guest_file import GuestFile
from proad.drivers.libvirt.agent.programs import GuestPrograms
from proad.drivers.libvirt.agent.running_command import DomainCommand
from proad.drivers.libvirt.agent.talk import AgentRefusedError, GuestPausedError, Talk
from proad.drivers.libvirt.agent.tools import GuestTools, KnownTools
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import CommandSpec, CommandStreams

# What is longer goes into a file.
_LONGEST_INPUT = 16 * 2**10
_LONGEST_PID = 18  # digits
_LONGEST_TEXT = 1000

_log = structlog.get_logger(__name__)


class DomainCommands:
    """Starts commands inside domains.

    Args:
        agents: the guest agents.

    Attributes:
        tools: what is known of guests.
    """

    def __init__(self, agents: GuestAgents) -> None:
        self._agents = agents
        self._programs = GuestPrograms(agents)
        self.tools = KnownTools(agents, self._programs)
        self._endings = Endings(agents.timing)

    async def close(self) -> None:
        """Wait a moment for what is being cleaned up."""
        await self._endings.close()

    @asynccontextmanager
    async def start(
        self, id: str, spec: CommandSpec, streams: CommandStreams
    ) -> AsyncIterator[DomainCommand]:
        """Start a command; see `ports.Commands`."""
        _check(spec, streams)
        await self._agents.check(id)
        tools = await self.tools.of(id)
        env = tools.with_variables(spec.env)
        if spec.timeout is not None and not tools.setsid:
            raise CapabilityMissingError(
                "timeouts of commands in this guest",
                driver=ENGINE,
                hint="it has no setsid, without which a command cannot be killed; leave the "
                "timeout out",
            )
        beginning = asyncio.ensure_future(self._begin(id, tools, env, spec, streams))
        try:
            command = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._endings.later(self._end_when_begun(id, beginning))
            raise
        try:
            yield command
        finally:
            ending = self._end(id, command)
            if command.is_over:
                self._endings.later(ending)
            else:
                await self._endings.soon(ending)

    async def _begin(
        self,
        id: str,
        tools: GuestTools,
        env: Sequence[str] | None,
        spec: CommandSpec,
        streams: CommandStreams,
    ) -> DomainCommand:
        """Return a command that runs, or has run."""
        if not tools.shell:
            return await self._captured(id, env, spec, streams)
        if streams.detach:
            return await self._detached(id, tools, env, spec)
        folder, input = f"/tmp/.proa-{secrets.token_hex(16)}", streams.input  # noqa: S108 - in the guest
        command = FiledCommand(folder)
        try:
            if has_file := input is not None and len(input) > _LONGEST_INPUT:
                await self._fill(id, folder, input or b"")
            script = scripts.run(session=bool(tools.setsid), input=has_file)
            pid = await self._programs.execute(
                id,
                scripts.SHELL,
                ["-c", script, "sh", folder, *tools.words(spec.argv)],
                env=env,
                input=None if has_file else input,
            )
            group = partial(self._signal, id, pid) if tools.setsid else None
            command.follow(pid, group, partial(self._programs.wake, id))
            self._programs.follow(id, command)
            await self._programs.in_time("the begin of the command", command.begun)
        except BaseException:
            self._endings.later(self._end(id, command))
            raise
        return command

    async def _captured(
        self, id: str, env: Sequence[str] | None, spec: CommandSpec, streams: CommandStreams
    ) -> DomainCommand:
        """Return a command that was begun without a shell."""
        try:
            pid = await self._programs.execute(
                id,
                spec.argv[0],
                spec.argv[1:],
                env=env,
                input=streams.input,
                capture=not streams.detach,
            )
        except AgentRefusedError as error:
            is_there = "No such file or directory" not in error.text
            raise InvalidArgumentError.of_program(error.text, is_there=is_there) from None
        command: DomainCommand = DomainCommand() if streams.detach else CapturedCommand()
        command.follow(pid, None)
        if not streams.detach:
            self._programs.follow(id, command)
        return command

    async def _detached(
        self, id: str, tools: GuestTools, env: Sequence[str] | None, spec: CommandSpec
    ) -> DomainCommand:
        """Return a command that was left running."""
        script = scripts.detach(session=bool(tools.setsid))
        said = await self._programs.help(id, script, *tools.words(spec.argv), env=env)
        if unfit := unfit_program(said.output):
            raise unfit
        if not (pid := _number(said.output)):
            text = said.error.decode(errors="replace")[:_LONGEST_TEXT].strip()
            raise EngineConflictError(ENGINE, f"the command did not begin ({text})")
        command = DomainCommand()
        command.follow(pid, partial(self._signal, id, pid) if tools.setsid else None)
        return command

    async def _fill(self, id: str, folder: str, input: bytes) -> None:
        """Make a folder with a standard input in it."""
        made = await self._programs.help(id, scripts.MAKE_FOLDER, folder)
        if made.code != 0:
            text = made.error.decode(errors="replace")[:_LONGEST_TEXT].strip()
            raise EngineConflictError(ENGINE, f"the guest has no room for the input ({text})")
        handle = await self._agents.talk(id, lambda talk: talk.open(f"{folder}/0", "w"))
        try:
            await GuestFile(self._agents, id, handle).write(input)
        finally:
            await self._agents.talk(id, lambda talk: talk.close(handle))

    async def _signal(self, id: str, pid: int, number: int) -> None:
        """Send a signal to a group; ignore that it is gone."""
        await self._programs.help(id, scripts.SIGNAL, str(number), str(pid))

    async def _end_when_begun(self, id: str, beginning: asyncio.Future[DomainCommand]) -> None:
        with suppress(ProaError):
            await self._end(id, await beginning)

    async def _end(self, id: str, command: DomainCommand) -> None:
        """Kill a command unless it has ended or is detached, and remove its files."""
        await self._programs.leave(id, command)
        if isinstance(command, FiledCommand):
            await self._clean_up(id, command)

    async def _clean_up(self, id: str, command: FiledCommand) -> None:
        # What one that is left alone still writes goes to files without a name.
        ends = command.status is None and not command.is_detached
        kill = command.pid and ends and command.can_signal
        is_doubtful = command.has_failed  # it may be another guest, or an earlier state of this one

        def say(talk: Talk) -> int:
            for handle in command.handles:
                with suppress(AgentRefusedError):
                    talk.close(handle)
            pid = str(command.pid) if kill else ""
            arguments = (command.folder, pid, "doubtful" if is_doubtful else "")
            return talk.execute(scripts.SHELL, ["-c", scripts.END, "sh", *arguments])

        async def end() -> None:
            nonlocal is_doubtful
            try:
                await self._programs.end_of(id, await self._agents.talk(id, say))
            except GuestPausedError:
                is_doubtful = True
                raise

        try:
            await self._endings.once_resumed(end)
            if kill:
                await self._programs.end_of(id, command.pid)
        except (ProaError, TimeoutError) as error:
            _log.warning(
                "command left in guest", domain=id, folder=command.folder, error=str(error)
            )


def _number(text: bytes) -> int:
    """Return a process id; 0: there is none."""
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) <= _LONGEST_PID else 0


def _check(spec: CommandSpec, streams: CommandStreams) -> None:
    """Refuse what no guest agent has.

    Raises:
        CapabilityMissingError: something of that is asked for.
    """
    wanted = {
        "start.tty": streams.tty,
        "start.size": streams.size is not None and not streams.tty,  # it goes with the terminal
        "start.stdin": streams.stdin,
        "command.working_dir": spec.working_dir is not None,
        "command.user": bool(spec.user),
    }
    if fields := [field for field, is_wanted in wanted.items() if is_wanted]:
        by_shell = wanted["command.working_dir"] or wanted["command.user"]
        raise CapabilityMissingError(
            f"{', '.join(fields)} of a command inside a domain",
            driver=ENGINE,
            hint=f"a guest agent has no such thing: leave {' and '.join(fields)} out"
            + (", or give the input to RunCommand" if streams.stdin else "")
            + ("; a shell in `command.argv` can change them" if by_shell else ""),
        )
