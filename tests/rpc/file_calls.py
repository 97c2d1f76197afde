"""Calls of FileService, as their caller has them."""

import asyncio

import grpc

from proa import v1
from rpc.daemon import BOTH, RPCS, Refusal

WRITE = RPCS["WriteFile"]
READ = RPCS["ReadFile"]


class Upload:
    """A call of WriteFile; the fields of its start are those of a WriteFileStart.

    Attributes:
        call: the call.
    """

    def __init__(self, daemon, *, token=None, **start):
        self._requests: asyncio.Queue[v1.WriteFileRequest | None] = asyncio.Queue()
        if start:
            self.say(start=start)
        self.call = daemon.send(WRITE, self._sent(), token=token or daemon.token(*BOTH), timeout=60)

    async def _sent(self):
        while (request := await self._requests.get()) is not None:
            yield request

    @classmethod
    async def begun(cls, daemon, **start):
        """Return an upload whose bytes may come."""
        upload = cls(daemon, **start)
        assert (await upload.call.read()).HasField("ready")
        return upload

    def say(self, **message):
        """Send a request."""
        self._requests.put_nowait(v1.WriteFileRequest(**message))

    def end(self):
        """Send no more requests."""
        self._requests.put_nowait(None)

    async def digest(self):
        """Return what was written."""
        self.end()
        response = await self.call.read()
        assert await self.call.read() is grpc.aio.EOF
        return response.end

    async def refused(self):
        """Return the refusal that the call ends with."""
        try:
            while await self.call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return Refusal.of(error)
        raise AssertionError("the call ended without an error")


async def write(daemon, id, path, data, **start):
    """Write a file; return its digest."""
    upload = await Upload.begun(daemon, id=id, path=path, size_bytes=len(data), **start)
    for at in range(0, len(data), 65536):
        upload.say(data=data[at : at + 65536])
    return await upload.digest()


async def read(daemon, id, path, **fields):
    """Return a file, its bytes and its digest."""
    responses = [each async for each in daemon.call("ReadFile", id=id, path=path, **fields)]
    first, *middle, last = responses
    assert all(each.WhichOneof("message") == "data" for each in middle)
    return first.file, b"".join(each.data for each in middle), last.end


async def names(daemon, id, path, **fields):
    """Return the names in a directory, and the token of the next page."""
    page = await daemon.call("ListFiles", id=id, path=path, **fields)
    return [file.name for file in page.files], page.next_page_token
