"""The replacement of a file in a container by a rename, which the container's own shell does.

The engine removes a file before it unpacks another one of the same name: who looks meanwhile sees none
or a part, and an engine that fails leaves that behind. So where a container runs and has a shell, the
engine unpacks beside the file, and the shell renames. The shell waits for that on its input, which ends
with whoever talks to it, the daemon included: then it removes what is beside. A shell that lies or
hangs changes nothing but its own container.
"""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from posixpath import dirname, join

from proad.drivers.docker.errors import ENGINE
from proad.drivers.posix_files import SHELL, StartCommand, script
from proad.errors import EngineConflictError, EngineUnreachableError, ProaError
from proad.model import CommandOutput, CommandSpec, CommandStreams
from proad.ports import RunningCommand

# Root of a container may lack the rights of root. In a sticky directory of somebody else, it could
# neither rename nor remove what becomes the file of a third.
_REPLACE = script(
    r"""
[ -f "$1" ] && [ ! -L "$1" ] || exit 1
if [ -k "${1%/*}/" ] && [ ! -O "${1%/*}/" ]; then
    exit 1
fi
umask 077
set -C
: >"$2" || exit 1
trap 'rm -f -- "$2"' EXIT
echo ready
read -r said && [ "$said" = rename ] && [ ! -d "$1" ] && mv -f -- "$2" "$1"
""",
    *("rm", "mv"),
)
"""Make the file $2, and wait until it is to take the place of $1; else remove it."""

_REMOVE = script('exec rm -f -- "$1"', "rm")
"""Remove the file $1, whose shell was killed."""

_READY = b"ready\n"
_RENAME = b"rename\n"
_STEP = timedelta(seconds=10)
# What ends by a signal has a code beyond.
_KILLED = 128


class Renaming:
    """A shell that waits to rename a file.

    Args:
        command: the shell.
        path: of the file that it made, which is empty, beside the one to be replaced.
        step: for which it may take at each step.

    Attributes:
        path: see above.
        was_killed: whether it has ended without a chance to remove the file.
    """

    def __init__(self, command: RunningCommand, path: str, step: timedelta) -> None:
        self.path = path
        self.was_killed = False
        self._command = command
        self._output: AsyncIterator[CommandOutput] = command.output()
        self._step = step.total_seconds()
        self._is_over = False

    async def is_ready(self) -> bool:
        """Wait until it has made the file; return whether it has."""
        said = b""
        async for output in self._output:
            if output.is_stderr:
                continue
            said += output.data
            if not _READY.startswith(said) or said == _READY:
                break
        return said == _READY

    async def rename(self) -> bool:
        """Have the file renamed; return whether the shell says that it is.

        Raises:
            EngineConflictError: it may still do so later, as when it is frozen.
            EngineUnreachableError: the engine went away; it may have done so.
        """
        lost: EngineUnreachableError | None = None
        try:
            async with asyncio.timeout(self._step):
                await self._command.write(_RENAME)
                return await self._exit() == 0
        except EngineUnreachableError as error:
            lost = error
        except (ProaError, TimeoutError):
            pass  # it is ended
        # It would put what is beside over a file that is newer by then.
        if not self._is_over:
            with suppress(ProaError, TimeoutError):
                async with asyncio.timeout(self._step):
                    await self._command.signal(signal.SIGKILL)
                    await self._exit()
        if not self._is_over:
            raise lost or EngineConflictError(
                ENGINE,
                "the container does not end the renaming of the file, which may come later or never",
                hint="look at the file when the container is idle, and write it again",
            )
        return False

    async def end(self) -> None:
        """Have the shell remove the file, unless it was renamed."""
        if not self._is_over:
            with suppress(ProaError, TimeoutError):
                async with asyncio.timeout(self._step):
                    await self._exit()

    async def _exit(self) -> int | None:
        await self._command.end_input()
        async for _ in self._output:
            pass
        exit = await self._command.exit()
        self._is_over = True
        self.was_killed = exit.code is None or exit.code > _KILLED
        return exit.code


class Replacing:
    """Has the shells of containers replace files.

    Args:
        start: starts the shells; see `ports.Commands`.
        step: for which a shell may take at each step.
    """

    def __init__(self, start: StartCommand, step: timedelta = _STEP) -> None:
        self._start = start
        self._step = step

    @asynccontextmanager
    async def begun(self, id: str, path: str) -> AsyncIterator[Renaming | None]:
        """Yield a shell that waits to rename a file to a path; None: the container has none for it.

        Args:
            id: of the container, which runs.
            path: of the file that is to be replaced, without links.
        """
        async with AsyncExitStack() as running:
            renaming = await self._begin(id, path, running)
            try:
                yield renaming
            finally:
                if renaming is not None:
                    await renaming.end()
                    if renaming.was_killed:
                        await self._remove(id, renaming.path)

    async def _remove(self, id: str, path: str) -> None:
        spec = _command("-c", _REMOVE, "sh", path)
        with suppress(ProaError, TimeoutError):
            async with (
                asyncio.timeout(self._step.total_seconds()),
                self._start(id, spec, CommandStreams()) as command,
            ):
                async for _ in command.output():
                    pass

    async def _begin(self, id: str, path: str, running: AsyncExitStack) -> Renaming | None:
        temporary = join(dirname(path), f".proa-{secrets.token_hex(16)}")
        spec = _command("-c", _REPLACE, "sh", path, temporary)
        with suppress(ProaError, TimeoutError):
            async with asyncio.timeout(self._step.total_seconds()):
                command = await running.enter_async_context(
                    self._start(id, spec, CommandStreams(stdin=True))
                )
                renaming = Renaming(command, temporary, self._step)
                if await renaming.is_ready():
                    return renaming
        return None


def _command(*arguments: str) -> CommandSpec:
    """Return a shell of root, where every container can run one: its folder may have been removed."""
    return CommandSpec(argv=(SHELL, *arguments), user="0:0", working_dir="/")
