"""The watch of the synchronous client."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self

from proa import v1
from proa.errors import Error
from proa.events import Event
from proa.watch_state import WatchState, ended, silent

Call = Callable[[v1.WatchResourcesRequest], Any]
"""Makes the call; returns an iterator of responses that can be cancelled."""


class WatchStream:
    """The calls of a watch, one after the other. May be closed from any thread.

    Args:
        call: makes a call.
        patience: how long a response may take before the call is cancelled, in seconds.
    """

    def __init__(self, call: Call, patience: float) -> None:
        self._call = call
        self._patience = patience
        self._current: Any = None
        self._closed = threading.Event()
        self._deadline = math.inf
        self._silent = False

    def is_closed(self) -> bool:
        """Return whether the stream is closed: no other call follows."""
        return self._closed.is_set()

    def open(self, request: v1.WatchResourcesRequest) -> None:
        """Make a call."""
        self._silent = False
        self._current = self._call(request)

    def read(self) -> v1.WatchResourcesResponse:
        """Wait for the next response.

        Raises:
            Error: the call has ended.
        """
        # The deadline covers this read alone: the user may take any time between two reads.
        self._deadline = time.monotonic() + self._patience
        if self.is_closed():
            self.cancel()
        try:
            response: v1.WatchResourcesResponse | None = next(self._current, None)
        except Error:
            if self._silent:
                raise silent(self._patience) from None
            raise
        finally:
            self._deadline = math.inf
        if response is None:
            raise ended()
        return response

    def pause(self, seconds: float) -> None:
        """Wait, or return early when the stream is closed."""
        self._closed.wait(seconds)

    def guard(self, over: threading.Event) -> None:
        """Cancel calls whose response takes too long, until `over` is set. Runs in a thread."""
        while not over.wait(self._patience / 4):
            if self.is_closed() or time.monotonic() > self._deadline:
                self._silent = True
                self.cancel()

    def cancel(self) -> None:
        """Cancel the current call."""
        if self._current is not None:
            self._current.cancel()

    def close(self) -> None:
        """Cancel the current call, and make no other."""
        self._closed.set()
        self.cancel()


class Watch(Iterator[Event]):
    """The iterator of events that `Client.watch` returns. Its end cancels the call.

    Args:
        stream: makes the calls.
        state: turns responses and failures into events.
    """

    def __init__(self, stream: WatchStream, state: WatchState) -> None:
        # The generator holds no reference to this object, so that dropping the last
        # reference to a watch ends its call.
        self._stream = stream
        self._events = _events(stream, state)

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End the watch, from any thread: the call at once, the iteration at its next event."""
        self._stream.close()
        # ValueError: another thread is reading; the closed stream ends that read.
        with contextlib.suppress(ValueError):
            self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _events(stream: WatchStream, state: WatchState) -> Generator[Event, None, None]:
    with _guarded(stream):
        while not stream.is_closed():
            try:
                stream.open(state.request())
                while True:
                    yield from state.apply(stream.read())
            except Error as error:
                if stream.is_closed():
                    return
                events = state.fail(error)
            except ValueError:
                if stream.is_closed():  # its client was closed just before the call
                    return
                raise
            yield from events
            stream.pause(state.backoff)


@contextlib.contextmanager
def _guarded(stream: WatchStream) -> Iterator[None]:
    # A read of a synchronous gRPC stream takes no timeout, but the call can be cancelled.
    over = threading.Event()
    threading.Thread(target=stream.guard, args=(over,), name="proa-watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        stream.close()
