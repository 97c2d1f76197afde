"""Streams of responses: written one by one, ended when their time is over."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import grpc

from proad.errors import TokenExpiredError
from proad.rpc import caller
from proad.rpc.admission import Admission, sent_along
from proad.rpc.methods import Method
from proad.rpc.public_streams import PublicStreams

# Seconds after which the token of a stream that goes on is looked at again.
_CHECK_EVERY = 5.0

_Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[[Any, _Context], Any]
_Write = Callable[[Any, _Context], Awaitable[None]]


class Streams:
    """Makes what writes the responses of a method's streams.

    Args:
        admission: tells whether a caller is still let in.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._public = PublicStreams()

    def writing(self, method: Method, serve: _Serve) -> _Write:
        """Give what serves a request and writes all responses.

        Args:
            method: what is served.
            serve: the servicer's method: a generator of responses, or a coroutine that
                writes them itself.
        """
        write = serve if inspect.iscoroutinefunction(serve) else _written(serve)
        if not method.endless:
            return write
        if method.standard:
            return self._public_one(write)
        return self._admitted(serve)

    def _public_one(self, write: _Write) -> _Write:
        async def public(request: Any, context: _Context) -> None:
            async with self._public.one(context.peer()):
                await write(request, context)

        return public

    def _admitted(self, serve: _Serve) -> _Write:
        async def endless(request: Any, context: _Context) -> None:
            async with aclosing(serve(request, context)) as responses:
                async for response in self._while_admitted(responses, context):
                    await context.write(response)

        return endless

    async def _while_admitted(
        self, responses: AsyncGenerator[Any, None], context: _Context
    ) -> AsyncGenerator[Any, None]:
        """End a stream when the caller's token ends, or is no longer good."""
        metadata = sent_along(context)
        loop = asyncio.get_running_loop()
        left = (caller.current().expire_time - datetime.now(UTC)).total_seconds()
        expires = loop.time() + left
        checked = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(expires) as limit:
                    response = await anext(responses, None)
            except TimeoutError:
                if limit.expired():
                    raise TokenExpiredError from None
                raise
            if response is None:
                return
            if loop.time() >= expires:  # it was there at once, but nobody read for long
                raise TokenExpiredError
            if loop.time() - checked > _CHECK_EVERY:
                await self._admission.check_again(metadata)
                checked = loop.time()
            yield response


def _written(serve: _Serve) -> _Write:
    async def write(request: Any, context: _Context) -> None:
        async with aclosing(serve(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return write
