"""A command whose output goes to files in its guest, which are read while it runs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from proad.drivers.libvirt.agent import scripts
from proad.drivers.libvirt.agent.running_command import DomainCommand
from proad.drivers.libvirt.agent.talk import AgentRefusedError, Ended, GuestPausedError, Talk
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import EngineConflictError, InvalidArgumentError, ProaError

CHUNK = 192 * 2**10
"""Bytes that are read of a file at once."""
_MOST_OF_A_FAILURE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of output.

    Attributes:
        handle: the agent's number of it.
        is_stderr: which output it has.
        offset: bytes that were read.
        is_over: whether that is all.
    """

    handle: int
    is_stderr: bool
    offset: int = 0
    is_over: bool = False


class FiledCommand(DomainCommand):
    """A command whose output goes to files in its guest.

    Args:
        folder: the folder of the files.

    Attributes:
        begun: done once it runs, or has run; fails if it could not begin.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._files: tuple[_File, ...] = ()
        self._is_doubtful = False

    @property
    def handles(self) -> tuple[int, ...]:
        """The agent's numbers of the files, which are open."""
        return tuple(each.handle for each in self._files)

    def question(self) -> Callable[[Talk], Callable[[], bool]] | None:
        """Ask whether it has ended, and then for more output if that has room here."""
        status, files, is_doubtful = self.status, self._files, self._is_doubtful
        has_room = not self._pieces
        if self.is_over or (status is not None and not has_room):
            return None

        def ask(talk: Talk) -> Callable[[], bool]:
            now, opened = status or self._status(talk), files
            read: tuple[tuple[bytes, bool], ...] = ()
            try:
                opened = files or self._open(talk)
                if has_room:
                    read = tuple(_read(talk, each, is_doubtful=is_doubtful) for each in opened)
            except GuestPausedError:
                # The agent tells the end of a command once alone.
                return lambda: self._note(now, opened, (), is_doubtful=True)
            return lambda: self._note(now, opened, read, is_doubtful=is_doubtful and not has_room)

        return ask

    def failed(self, error: Exception) -> None:
        """See `poller.Followed`."""
        super().failed(error)
        if not self.begun.done():
            self.begun.set_exception(error)

    def paused(self) -> None:
        """Note that what was asked may have been answered, and the answer lost."""
        self._is_doubtful = True

    def _status(self, talk: Talk) -> Ended | None:
        try:
            return talk.status(self.pid)
        except AgentRefusedError as error:
            raise EngineConflictError(
                ENGINE,
                f"the guest agent has forgotten the command, and how it ended ({error.text})",
            ) from None

    def _open(self, talk: Talk) -> tuple[_File, ...]:
        """Open the files; return none if they are not there."""
        try:
            out = talk.open(f"{self.folder}/1", "r")
        except AgentRefusedError:
            return ()
        try:
            error = talk.open(f"{self.folder}/2", "r")
        except AgentRefusedError:
            talk.close(out)
            return ()
        return (_File(handle=out, is_stderr=False), _File(handle=error, is_stderr=True))

    def _note(
        self,
        now: Ended | None,
        opened: tuple[_File, ...],
        read: tuple[tuple[bytes, bool], ...],
        *,
        is_doubtful: bool,
    ) -> bool:
        """Take the answers: the end, the files, and what was read of each one and whether it ended."""
        self._is_doubtful = is_doubtful
        if now is not None and self.status is None:
            self._ended(now)
        if opened:
            if not self.begun.done():
                self.begun.set_result(None)
        elif now is not None and not is_doubtful:
            self.failed(_not_begun(now))
        if not read:
            self._files = opened
            return False
        files = []
        for file, (data, at_end) in zip(opened, read, strict=True):
            self._take(data, is_stderr=file.is_stderr)
            offset, is_over = file.offset + len(data), now is not None and at_end
            files.append(replace(file, offset=offset, is_over=is_over))
        self._files = tuple(files)
        if all(each.is_over for each in files):
            self._over()
        return any(data for data, _ in read)


def _read(talk: Talk, file: _File, *, is_doubtful: bool) -> tuple[bytes, bool]:
    """Return the next bytes of a file, and whether these are the last at present."""
    if file.is_over:
        return b"", True
    if is_doubtful:
        talk.seek(file.handle, file.offset)
    return talk.read(file.handle, CHUNK)


def unfit_program(output: bytes) -> InvalidArgumentError | None:
    """Return the error of a command whose program cannot be executed; None: its script says nothing."""
    match output:
        case scripts.NO_PROGRAM:
            return InvalidArgumentError.of_program("the program is not there", is_there=False)
        case scripts.NOT_EXECUTABLE:
            return InvalidArgumentError.of_program("the program cannot be executed", is_there=True)
    return None


def _not_begun(status: Ended) -> ProaError:
    """Return why a command did not begin: its script has said so."""
    if error := unfit_program(status.output):
        return error
    said = status.error.decode(errors="replace").strip()[:_MOST_OF_A_FAILURE]
    return EngineConflictError(ENGINE, f"the command did not begin, or its output is gone ({said})")
