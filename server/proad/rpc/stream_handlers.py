"""Streams of responses: written one by one, ended when their time is over."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc

from proad.rpc.authorizer import Authorizer
from proad.rpc.methods import Method
from proad.rpc.stream_limiter import PublicStreamLimiter

_Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[[Any, _Context], Any]
_Write = Callable[[Any, _Context], Awaitable[None]]


class StreamHandlers:
    """Makes what writes the responses of a method's streams.

    Args:
        authorizer: tells whether a caller is still let in.
        public_lifetime: seconds after which a public stream ends.
    """

    def __init__(self, authorizer: Authorizer, public_lifetime: float) -> None:
        self._authorizer = authorizer
        self._public = PublicStreamLimiter(public_lifetime)

    def writing(self, method: Method, serve: _Serve) -> _Write:
        """Give what serves a request and writes all responses.

        Args:
            method: what is served.
            serve: the servicer's method: a generator of responses, or a coroutine that
                writes them itself.
        """
        write = serve if inspect.iscoroutinefunction(serve) else _written(serve)
        if not method.standard:
            return self._admitted(write, endless=method.endless)
        return self._public_one(write) if method.endless else write

    def _public_one(self, write: _Write) -> _Write:
        async def public(request: Any, context: _Context) -> None:
            async with self._public.one(self._authorizer.place(context)):
                await write(request, context)

        return public

    def _admitted(self, write: _Write, *, endless: bool) -> _Write:
        async def admitted(request: Any, context: _Context) -> None:
            # What has an end may reach it after its token's, like any call that was let in.
            async with self._authorizer.holding(expires=endless):
                await write(request, context)

        return admitted


def _written(serve: _Serve) -> _Write:
    async def write(request: Any, context: _Context) -> None:
        async with aclosing(serve(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return write
