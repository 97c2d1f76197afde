"""What is known of commands and consoles while they are under way, in both clients."""

from typing import Any, ClassVar

from proa import v1
from proa.commands import Exit


class ProcessState:
    """What the responses of an Exec have told.

    Attributes:
        pid: its process id, as the engine's host or the guest has it; 0: not known.
        can_signal: whether `signal` works, and leaving the block kills the command.
        exit: how it ended; None: it has not, as far as its output was read.
    """

    request: ClassVar[Any] = v1.ExecRequest

    pid = 0
    can_signal = False
    exit: Exit | None = None

    def _begun(self, started: v1.ExecStarted) -> None:
        self.pid, self.can_signal = started.pid, started.can_signal

    def _ended(self, response: v1.ExecResponse) -> bool:
        if response.HasField("exit"):
            self.exit = Exit.of(response.exit)
        return self._is_over

    @property
    def _is_over(self) -> bool:
        return self.exit is not None

    def _known_exit(self) -> Exit:
        """Return how it ended, once nothing more comes.

        Raises:
            ValueError: it is detached.
        """
        if self.exit is None:
            raise ValueError("how a detached command ends is not known")
        return self.exit


class AttachmentState:
    """What the responses of an Attach have told.

    Attributes:
        kind: the kind of the resource.
        tty: whether it is a terminal, or a serial line.
        stdin: whether it takes input.
        can_resize: whether `resize` works.
        can_signal: whether `signal` works.
        stdin_once: whether its input ends with the block; only then `close_stdin` works.
        exit: how the main process of a container ended; None: it has not, as far as its output was
            read, or the console is a domain's.
        ended: whether the resource has ended, as far as its output was read.
    """

    request: ClassVar[Any] = v1.AttachRequest

    kind = v1.RESOURCE_KIND_UNSPECIFIED
    tty = False
    stdin = False
    can_resize = False
    can_signal = False
    stdin_once = False
    exit: Exit | None = None
    ended = False

    def _begun(self, started: v1.AttachStarted) -> None:
        self.kind = started.kind
        self.tty, self.stdin, self.stdin_once = started.tty, started.stdin, started.stdin_once
        self.can_resize, self.can_signal = started.can_resize, started.can_signal

    def _ended(self, response: v1.AttachResponse) -> bool:
        if response.HasField("exit"):
            self.exit = Exit.of(response.exit)
        self.ended = response.HasField("exit") or response.HasField("ended")
        return self.ended

    @property
    def _is_over(self) -> bool:
        return self.ended
