"""The requests of a call that takes a stream of them, of the asyncio client."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

from google.protobuf.message import Message

from proa.request_stream import MOST_WAITING, Sent

Requests = Iterable[Any] | AsyncIterable[Any]


class AsyncRequestStream:
    """The requests of one call, as `proa.request_stream.RequestStream`.

    Attributes:
        failure: the error of what the requests come from; None without one.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._changed = asyncio.Event()
        self._waiting: deque[Message] = deque()
        self._urgent: deque[Message] = deque()
        self._sent = Sent()
        self._again: deque[Message] = deque()
        self._attempt = 0
        self._ended = False
        self._closed = False
        self._call: Any = None
        self._pumping: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, requests: Requests, check: Callable[[object], None]) -> "AsyncRequestStream":
        """Return a stream of what an iterable gives, which a task reads.

        Args:
            requests: the requests; a stream is returned as it is.
            check: raises TypeError for what is no request.
        """
        if isinstance(requests, cls):
            return requests
        stream = cls()
        stream._pumping = asyncio.create_task(stream._pump(requests, check))
        return stream

    def __aiter__(self) -> AsyncIterator[Message]:
        return self.attempt() or _nothing()

    def attach(self, call: Any) -> None:
        """Note the call that the requests go to."""
        self._call = call
        if self._closed:
            call.cancel()

    def attempt(self) -> AsyncIterator[Message] | None:
        """Return the requests for a call, from the first one on; the last attempt gets no more.

        None: some are gone.
        """
        again = self._sent.again()
        if again is None:
            return None
        self._again = again
        self._attempt += 1
        self._changed.set()
        return self._of_attempt(self._attempt)

    def answered(self) -> None:
        """Note that a response has come: the call is not made again."""
        self._sent.forget()

    async def send(self, request: Message, *, urgent: bool = False) -> None:
        """Send a request, after the ones before it; wait while too many wait.

        Args:
            request: the request.
            urgent: whether it goes before those that wait.

        Raises:
            BrokenPipeError: the call has ended.
        """
        while len(self._waiting) >= MOST_WAITING and not (urgent or self._closed):
            await self._change()
        if self._closed or self._ended:
            raise BrokenPipeError("the call takes no more requests")
        (self._urgent if urgent else self._waiting).append(request)
        self._changed.set()

    def end(self) -> None:
        """Send no more requests."""
        self._ended = True
        self._changed.set()

    def fail(self, failure: Exception) -> None:
        """End the call, which raises an error of ours."""
        self.failure = failure
        self.cancel()

    def cancel(self) -> None:
        """End the call."""
        self.close()
        if self._call is not None:
            self._call.cancel()

    def close(self) -> None:
        """Take no more requests, and drop those that wait: the call has ended."""
        self._closed = True
        self._changed.set()
        if self._pumping is not None and self._pumping is not asyncio.current_task():
            self._pumping.cancel()

    async def wait_closed(self, seconds: float) -> bool:
        """Wait for the end of the call, for some time; return whether it has come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._closed:
                    await self._change()
        return self._closed

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _of_attempt(self, attempt: int) -> AsyncIterator[Message]:
        while not self._closed and attempt == self._attempt:
            if self._again:
                yield self._again.popleft()
            elif queue := self._urgent or self._waiting:
                request = queue.popleft()
                self._sent.add(request)
                self._changed.set()
                yield request
            elif self._ended:
                return
            else:
                await self._change()

    async def _pump(self, requests: Requests, check: Callable[[object], None]) -> None:
        try:
            async for request in _each(requests):
                check(request)
                await self.send(request)
            self.end()
        except Exception as error:  # noqa: BLE001 - the reader of the responses gets it
            if not self._closed:
                self.fail(error)


async def _each(requests: Requests) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


async def _nothing() -> AsyncIterator[Message]:
    return
    yield  # what makes it a generator
