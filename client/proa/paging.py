"""Iteration over the pages of a list."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Protocol, TypeVar


class PagedRequest(Protocol):
    """The request of a list."""

    page_token: str


class PagedResponse(Protocol):
    """A page of a list."""

    @property
    def next_page_token(self) -> str:
        """Token of the next page; empty for the last page."""


RequestT = TypeVar("RequestT", bound=PagedRequest)
ResponseT = TypeVar("ResponseT", bound=PagedResponse)


def pages(call: Callable[[RequestT], ResponseT], request: RequestT) -> Iterator[ResponseT]:
    """Yield the pages of a list, and fetch each on demand. Changes `request.page_token`."""
    while True:
        page = call(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def async_pages(
    call: Callable[[RequestT], Awaitable[ResponseT]], request: RequestT
) -> AsyncIterator[ResponseT]:
    """Yield the pages of a list, and fetch each on demand. Changes `request.page_token`."""
    while True:
        page = await call(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
