"""Consoles that somebody is attached to, of the synchronous client."""

from collections.abc import Callable
from typing import Any

from proa import v1
from proa.commands import Exit, Input
from proa.inside_stream import InsideStream


class Attachment(InsideStream):
    """The console of a resource, attached to while the block runs; the resource goes on after it.

    Iterate over it for its output. A container whose output nobody reads waits, until the daemon ends
    the call. `write`, `resize` and `signal` may be called from any thread.

    Args:
        attach: makes the call.
        start: the beginning of the call.
        source: where its input comes from; see `Client.attach`.

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

    request = v1.AttachRequest

    def __init__(
        self, attach: Callable[[Any], Any], start: v1.AttachStart, source: Input | None
    ) -> None:
        super().__init__(attach, v1.AttachRequest(start=start), source)
        self.kind = v1.RESOURCE_KIND_UNSPECIFIED
        self.tty = self.stdin = self.can_resize = self.stdin_once = self.ended = False
        self.exit: Exit | None = None

    def detach(self) -> None:
        """Leave it before the block ends: no more output comes then.

        What was written before still reaches it.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._is_detached = True
        self._requests.send(v1.AttachRequest(detach=v1.AttachDetach()))

    def _begun(self, started: v1.AttachStarted) -> None:
        for name in ("kind", "tty", "stdin", "can_resize", "can_signal", "stdin_once"):
            setattr(self, name, getattr(started, name))

    def _ended(self, response: v1.AttachResponse) -> bool:
        if response.HasField("exit"):
            self.exit = Exit.of(response.exit)
        self.ended = response.HasField("exit") or response.HasField("ended")
        return self.ended

    @property
    def _is_over(self) -> bool:
        return self.ended

    def _end_source(self) -> None:
        if self.stdin_once:
            self.close_stdin()
