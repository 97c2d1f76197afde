"""The iterator of a log of the asyncio client."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from proa import v1
from proa.errors import Unauthenticated
from proa.logs import LogLine, LogState


class AsyncLogs(AsyncIterator[LogLine]):
    """The iterator of lines that `Client.logs` returns. Its end ends the call.

    Args:
        call: makes the call.
        request: of the call.
    """

    def __init__(
        self, call: Callable[[v1.StreamLogsRequest], Any], request: v1.StreamLogsRequest
    ) -> None:
        self._call = call
        self._state = LogState(request)
        self._closed = False
        self._responses: Any = call(self._state.begin())
        self._lines = self._all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogLine:
        return await anext(self._lines)

    def close(self) -> None:
        """End the call."""
        self._closed = True
        self._responses.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def _all(self) -> AsyncGenerator[LogLine, None]:
        while True:
            try:
                async for response in self._responses:
                    for line in self._state.lines(response):
                        yield line
            except Unauthenticated as error:
                if self._closed or not self._state.goes_on(error):
                    raise
                self._responses = self._call(self._state.begin())
            else:
                return
