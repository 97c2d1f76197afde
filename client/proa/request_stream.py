"""The requests of a call that takes a stream of them, on their way to gRPC."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from google.protobuf.message import Message

MOST_WAITING = 4
"""Requests that wait until gRPC takes them: a caller who is faster waits."""

# Bytes of requests that are kept until the first response, for a call that is made again.
_MOST_KEPT = 2**20


class Sent:
    """The requests that were sent before the first response.

    A call whose token is refused was not begun: it is made again with these.
    """

    def __init__(self) -> None:
        self._requests: list[Message] | None = []
        self._bytes = 0

    def add(self, request: Message) -> None:
        """Keep a request, if there is room."""
        if self._requests is None:
            return
        self._bytes += request.ByteSize()
        if self._bytes > _MOST_KEPT:
            self.forget()
        else:
            self._requests.append(request)

    def forget(self) -> None:
        """Let them go: the call cannot be made again."""
        self._requests = None

    def again(self) -> deque[Message] | None:
        """Return the requests to send again; None: the call cannot be made again."""
        return None if self._requests is None else deque(self._requests)


class RequestStream:
    """The requests of one call. Thread-safe.

    Attributes:
        failure: the error of what the requests come from; None without one.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._condition = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._urgent: deque[Message] = deque()
        self._sent = Sent()
        self._again: deque[Message] = deque()
        self._attempt = 0
        self._ended = False
        self._closed = False
        self._call: Any = None

    @classmethod
    def of(cls, requests: Iterable[Message], check: Callable[[object], None]) -> "RequestStream":
        """Return a stream of what an iterable gives, which a thread reads.

        Args:
            requests: the requests; a stream is returned as it is.
            check: raises TypeError for what is no request.
        """
        if isinstance(requests, cls):
            return requests
        stream = cls()
        threading.Thread(
            target=stream._pump, args=(requests, check), name="proa-requests", daemon=True
        ).start()
        return stream

    def __iter__(self) -> Iterator[Message]:
        attempt = self.attempt()
        return iter(()) if attempt is None else attempt

    def attach(self, call: Any) -> None:
        """Note the call that the requests go to."""
        self._call = call
        if self._closed:
            call.cancel()

    def attempt(self) -> Iterator[Message] | None:
        """Return the requests for a call, from the first one on; the last attempt gets no more.

        None: some are gone.
        """
        with self._condition:
            again = self._sent.again()
            if again is None:
                return None
            self._again = again
            self._attempt += 1
            self._condition.notify_all()
            return iter(partial(self._take, self._attempt), None)

    def answered(self) -> None:
        """Note that a response has come: the call is not made again."""
        with self._condition:
            self._sent.forget()

    def send(self, request: Message, *, urgent: bool = False) -> None:
        """Send a request, after the ones before it; wait while too many wait.

        Args:
            request: the request.
            urgent: whether it goes before those that wait.

        Raises:
            BrokenPipeError: the call has ended.
        """
        with self._condition:
            while len(self._waiting) >= MOST_WAITING and not (urgent or self._closed):
                self._condition.wait()
            if self._closed or self._ended:
                raise BrokenPipeError("the call takes no more requests")
            (self._urgent if urgent else self._waiting).append(request)
            self._condition.notify_all()

    def end(self) -> None:
        """Send no more requests."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def fail(self, failure: Exception) -> None:
        """End the call, which raises an error of ours."""
        self.failure = failure
        self.close()
        if self._call is not None:
            self._call.cancel()

    def close(self) -> None:
        """Take no more requests, and drop those that wait: the call has ended."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def wait_closed(self, seconds: float) -> bool:
        """Wait for the end of the call, for some time; return whether it has come."""
        with self._condition:
            return self._condition.wait_for(lambda: self._closed, seconds)

    def _take(self, attempt: int) -> Message | None:
        """Return the next request of an attempt; None: there is none any more."""
        with self._condition:
            while not self._closed and attempt == self._attempt:
                if self._again:
                    return self._again.popleft()
                if queue := self._urgent or self._waiting:
                    request = queue.popleft()
                    self._sent.add(request)
                    self._condition.notify_all()
                    return request
                if self._ended:
                    break
                self._condition.wait()
            return None

    def _pump(self, requests: Iterable[Message], check: Callable[[object], None]) -> None:
        try:
            for request in requests:
                check(request)
                self.send(request)
            self.end()
        except Exception as error:  # noqa: BLE001 - the reader of the responses gets it
            if not self._closed:
                self.fail(error)
