"""A ForwardPort under way, as its caller has it."""

import asyncio

import grpc

from proa import v1
from rpc.daemon import BOTH, RPCS, Refusal

FORWARD_PORT = RPCS["ForwardPort"]


class PortSession:
    """A call of ForwardPort; the fields of its start are those of a ForwardPortStart.

    Attributes:
        call: the call.
    """

    def __init__(self, daemon, *, token=None, **start):
        self._requests: asyncio.Queue[v1.ForwardPortRequest | None] = asyncio.Queue()
        if start:
            self.say(start=start)
        token = token or daemon.token(*BOTH)
        self.call = daemon.send(FORWARD_PORT, self._sent(), token=token, timeout=60)

    async def _sent(self):
        while (request := await self._requests.get()) is not None:
            yield request

    @classmethod
    async def connected(cls, daemon, **start):
        """Return a session whose connection stands."""
        session = cls(daemon, **start)
        assert (await session.next())[0] == "connected"
        return session

    def say(self, **message):
        """Send a request."""
        self._requests.put_nowait(v1.ForwardPortRequest(**message))

    def end(self):
        """Send no more requests."""
        self._requests.put_nowait(None)

    async def next(self):
        """Return the field of the next response and its value; None at the end."""
        response = await self.call.read()
        if response is grpc.aio.EOF:
            return None
        name = response.WhichOneof("message")
        return name, getattr(response, name)

    async def rest(self):
        """Return all that the peer sends, until it ends its side."""
        said = b""
        while (got := await self.next()) is not None:
            if got[0] == "end_output":
                return said
            said += got[1]
        raise AssertionError("the call ended before the peer did")

    async def refused(self):
        """Return the refusal that the call ends with."""
        try:
            while await self.call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return Refusal.of(error)
        raise AssertionError("the call ended without an error")
