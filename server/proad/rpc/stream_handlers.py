"""Streams of responses: their writers, and when a stream ends."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc

from proad.rpc.authorizer import Authorizer
from proad.rpc.methods import Method
from proad.rpc.responses import write
from proad.rpc.stream_limiter import PublicStreamLimiter

_Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[[Any, _Context], Any]
_Write = Callable[[Any, _Context], Awaitable[None]]


class StreamHandlers:
    """Makes the functions that write the streams of responses.

    Args:
        authorizer: ends a stream whose caller is not authorized any more.
        public_lifetime: seconds after which a public stream ends.
    """

    def __init__(self, authorizer: Authorizer, public_lifetime: float) -> None:
        self._authorizer = authorizer
        self._public = PublicStreamLimiter(public_lifetime)

    def writer(self, method: Method, serve: _Serve) -> _Write:
        """Return a function that serves a request and writes all responses.

        Args:
            method: the method.
            serve: the servicer's method: a generator of responses, or a coroutine that
                writes them itself.
        """
        write = serve if inspect.iscoroutinefunction(serve) else _writing(serve)
        if not method.standard:
            return self._authorized(write, endless=method.endless)
        return self._limited(write) if method.endless else write

    def _limited(self, write: _Write) -> _Write:
        async def limited(request: Any, context: _Context) -> None:
            async with self._public.stream(self._authorizer.client_address(context)):
                await write(request, context)

        return limited

    def _authorized(self, write: _Write, *, endless: bool) -> _Write:
        async def authorized(request: Any, context: _Context) -> None:
            # A stream that ends by itself may outlive the token, as every authorized call may.
            async with self._authorizer.while_valid(expires=endless):
                await write(request, context)

        return authorized


def _writing(serve: _Serve) -> _Write:
    async def write_all(request: Any, context: _Context) -> None:
        async with aclosing(serve(request, context)) as responses:
            async for response in responses:
                await write(context, response)

    return write_all
