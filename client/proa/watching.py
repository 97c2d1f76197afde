"""A watch that goes on for ever."""

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
"""Makes the call and gives its responses; they can be cancelled."""


class WatchStream:
    """The call of a watch, one after the other. To be closed from any thread.

    Args:
        call: makes a call.
        patience: how long a response may take before the call is given up, in seconds.
    """

    def __init__(self, call: Call, patience: float) -> None:
        self._call = call
        self._patience = patience
        self._current: Any = None
        self._closed = threading.Event()
        self._deadline = math.inf
        self._silent = False

    def is_closed(self) -> bool:
        """Whether there is to be no other call."""
        return self._closed.is_set()

    def open(self, request: v1.WatchResourcesRequest) -> None:
        """Make a call."""
        self._silent = False
        self._current = self._call(request)

    def read(self) -> v1.WatchResourcesResponse:
        """Wait for the next response. Raises `proa.Error` when the call has ended."""
        # What the user of the watch does in between may take as long as it likes.
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
        """Wait, unless it is closed meanwhile."""
        self._closed.wait(seconds)

    def guard(self, over: threading.Event) -> None:
        """Give up calls that are silent for too long, until `over`. To be run in a thread."""
        while not over.wait(self._patience / 4):
            if self.is_closed() or time.monotonic() > self._deadline:
                self._silent = True
                self.cancel()

    def cancel(self) -> None:
        """End the call."""
        if self._current is not None:
            self._current.cancel()

    def close(self) -> None:
        """End the call and make no other."""
        self._closed.set()
        self.cancel()


class Watch(Iterator[Event]):
    """What `Client.watch` gives: the events, one by one. The call ends with it.

    Args:
        stream: where the calls are made.
        state: what to tell.
    """

    def __init__(self, stream: WatchStream, state: WatchState) -> None:
        # The generator knows nothing of this object: the last reference to a watch
        # ends its call.
        self._stream = stream
        self._events = _events(stream, state)

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End the watch, from any thread: the call at once, the loop with its next event."""
        self._stream.close()
        # Another thread may be reading; then it is that which comes to an end.
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
            yield from events
            stream.pause(state.wait)


@contextlib.contextmanager
def _guarded(stream: WatchStream) -> Iterator[None]:
    # gRPC's synchronous streams can be cancelled but not waited for with a limit.
    over = threading.Event()
    threading.Thread(target=stream.guard, args=(over,), name="proa-watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        stream.close()
