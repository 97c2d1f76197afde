"""A command in a guest without a shell, whose output the agent keeps until it has ended."""

from collections.abc import AsyncIterator, Callable

from proad.drivers.libvirt.agent.running_command import DomainCommand
from proad.drivers.libvirt.agent.talk import LARGEST_CAPTURE, Ended, Talk
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import EngineConflictError
from proad.model import CommandOutput


class CapturedCommand(DomainCommand):
    """A command whose output the agent keeps.

    libvirt passes on about 3 MB of it, and the agent is of no use any more after more than 7 MB.
    """

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what it wrote."""
        async for piece in super().output():
            yield piece
        if self.status is not None and self.status.truncated:
            raise EngineConflictError(
                ENGINE,
                "the command wrote more than its guest agent keeps where the guest has no shell",
                hint="let it write to a file",
            )

    def question(self) -> Callable[[Talk], Callable[[], bool]] | None:
        """Ask whether it has ended."""
        if self.is_over:
            return None

        def ask(talk: Talk) -> Callable[[], bool]:
            status = talk.status(self.pid, LARGEST_CAPTURE)
            return lambda: self._note(status)

        return ask

    def _note(self, status: Ended | None) -> bool:
        if status is None:
            return False
        self._take(status.output, is_stderr=False)
        self._take(status.error, is_stderr=True)
        self._ended(status)
        self._over()
        return True
