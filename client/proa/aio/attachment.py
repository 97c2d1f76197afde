"""Consoles that somebody is attached to, of the asyncio client."""

from proa.aio.inside_stream import AsyncInsideStream
from proa.inside_state import AttachmentState


class AsyncAttachment(AttachmentState, AsyncInsideStream):
    """The console of a resource, attached to while the block runs; see `proa.attachment.Attachment`.

    For its attributes see `proa.inside_state.AttachmentState`.
    """

    async def _end_source(self) -> None:
        if self.stdin_once:
            await self.close_stdin()
