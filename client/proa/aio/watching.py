"""The watch of the asyncio client."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from proa import v1
from proa.errors import Error
from proa.events import Event
from proa.watch_state import WatchState, ended, silent

Call = Callable[[v1.WatchResourcesRequest], Any]
"""Makes the call; returns an iterable of responses that can be cancelled."""


class AsyncWatchStream:
    """The calls of a watch, one after the other.

    Args:
        call: makes a call.
        patience: how long a response may take before the call is cancelled, in seconds.
    """

    def __init__(self, call: Call, patience: float) -> None:
        self._call = call
        self._patience = patience
        self._current: Any = None
        self._responses: AsyncIterator[v1.WatchResourcesResponse] | None = None
        self._closed = asyncio.Event()

    def is_closed(self) -> bool:
        """Return whether the stream is closed: no other call follows."""
        return self._closed.is_set()

    def open(self, request: v1.WatchResourcesRequest) -> None:
        """Make a call."""
        self._current = self._call(request)
        self._responses = aiter(self._current)

    async def read(self) -> v1.WatchResourcesResponse | None:
        """Wait for the next response; return None once the stream is closed.

        Raises:
            Error: the call has ended.
        """
        if self._responses is None:
            raise RuntimeError("read before open")
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(self._patience):
                return await anext(self._responses)
        except StopAsyncIteration:
            raise ended() from None
        except TimeoutError:
            self._current.cancel()
            raise silent(self._patience) from None
        except asyncio.CancelledError:
            # grpc.aio raises this for a cancelled call as well as for a cancelled task.
            if self.is_closed() and not (task and task.cancelling()):
                return None
            raise

    async def pause(self, seconds: float) -> None:
        """Wait, or return early when the stream is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def close(self) -> None:
        """Cancel the current call, and make no other."""
        self._closed.set()
        if self._current is not None:
            self._current.cancel()


class Watch(AsyncIterator[Event]):
    """The iterator of events that `Client.watch` returns. Its end cancels the call.

    Args:
        stream: makes the calls.
        state: turns responses and failures into events.
    """

    def __init__(self, stream: AsyncWatchStream, state: WatchState) -> None:
        self._stream = stream
        self._events = _events(stream, state)

    async def __anext__(self) -> Event:
        return await anext(self._events)

    def close(self) -> None:
        """End the watch: the call at once, the iteration at its next event."""
        self._stream.close()

    def __del__(self) -> None:
        # A loop that is left early does not close its iterator.
        self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


async def _events(stream: AsyncWatchStream, state: WatchState) -> AsyncGenerator[Event, None]:
    while not stream.is_closed():
        try:
            stream.open(state.request())
            while (response := await stream.read()) is not None:
                for event in state.apply(response):
                    yield event
        except Error as error:
            if stream.is_closed():
                return
            events = state.fail(error)
        else:
            return
        for event in events:
            yield event
        await stream.pause(state.backoff)
