"""An Exec under way, as its caller has it."""

import asyncio
from typing import Any, ClassVar

import grpc

from proa import v1
from rpc.daemon import BOTH, RPCS, Refusal

EXEC = RPCS["Exec"]


def command(*argv, **fields):
    """Return the fields of a CommandSpec."""
    return {"argv": argv, **fields}


class Session:
    """A call of Exec; the fields of its start are those of an ExecStart, with the id of a resource.

    Attributes:
        call: the call.
    """

    rpc = EXEC
    request: ClassVar[Any] = v1.ExecRequest

    def __init__(self, daemon, *, token=None, timeout=60, **start):
        self._requests: asyncio.Queue[Any] = asyncio.Queue()
        if start:
            self.say(start=start)
        self.call = daemon.send(
            self.rpc, self._sent(), token=token or daemon.token(*BOTH), timeout=timeout
        )

    async def _sent(self):
        while (request := await self._requests.get()) is not None:
            yield request

    @classmethod
    async def begun(cls, daemon, **start):
        """Return a session whose command runs."""
        session = cls(daemon, **start)
        name, _ = await session.next()
        assert name == "started"
        return session

    def say(self, **message):
        """Send a request."""
        self._requests.put_nowait(self.request(**message))

    def end(self):
        """Send no more requests."""
        self._requests.put_nowait(None)

    async def next(self):
        """Return the field of the next response and its value."""
        response = await self.call.read()
        name = response.WhichOneof("message")
        return name, getattr(response, name)

    async def until(self, text):
        """Read until the output ends so."""
        said = b""
        while not said.endswith(text):
            name, value = await self.next()
            assert name in {"stdout", "stderr"}, (name, said)
            said += value
        return said

    async def rest(self):
        """Return all output that comes, and the exit."""
        said = {"stdout": b"", "stderr": b""}
        while (got := await self.next())[0] not in {"exit", "ended"}:
            said[got[0]] += got[1]
        assert await self.call.read() is grpc.aio.EOF
        return said["stdout"], said["stderr"], got[1]

    async def refused(self):
        """Return the refusal that the call ends with."""
        try:
            while await self.call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return Refusal.of(error)
        raise AssertionError("the call ended without an error")


class Attachment(Session):
    """A call of Attach; the fields of its start are those of an AttachStart."""

    rpc = RPCS["Attach"]
    request = v1.AttachRequest
