"""Consoles that somebody is attached to, of the synchronous client."""

from proa.inside_state import AttachmentState
from proa.inside_stream import InsideStream


class Attachment(AttachmentState, InsideStream):
    """The console of a resource, attached to while the block runs; the resource goes on after it.

    Iterate over it for its output. A container whose output nobody reads waits, until the daemon ends
    the call. `write`, `resize` and `signal` may be called from any thread.

    For its attributes see `proa.inside_state.AttachmentState`.
    """

    def _end_source(self) -> None:
        if self.stdin_once:
            self.close_stdin()
