"""Pages of lists, and their opaque tokens."""

import base64
import binascii
import json
import operator
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from proad.errors import InvalidArgumentError, PageTokenInvalidError
from proad.rpc import caller
from proad.rpc.signing import LENGTH, BoundSigner, Signer
from proad.rpc.truncate import ITEM_OVERHEAD, MOST_BYTES

T = TypeVar("T")
M = TypeVar("M", bound=Message)
Position = tuple[str, ...]

MOST = 1000


class PageBudget:
    """The bytes that are left in a page. The first item always fits: no item is larger."""

    def __init__(self) -> None:
        self._left = MOST_BYTES
        self._empty = True

    def take(self, size: int) -> bool:
        """Return whether one more item, of so many bytes, fits."""
        first, self._empty = self._empty, False
        self._left -= size + ITEM_OVERHEAD
        return first or self._left >= 0


class Paginator:
    """Makes the pages of lists.

    A token carries the position of the last item of a page, so that items that come or
    go between two pages shift nothing. It is signed, and bound to the caller and to all
    other fields of the request; it outlives a restart of the daemon.

    Args:
        signer: signs the tokens.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def bounds(self, request: Message) -> tuple[int, Position | None]:
        """Return the most items of the page that `request` asks for, and where it begins.

        Args:
            request: has page_size and page_token.

        Returns:
            The number of items, and the position that the page begins after; None: at the
            first item.

        Raises:
            PageTokenInvalidError: the token was not made for this caller and request.
        """
        size: int = request.page_size  # type: ignore[attr-defined] # every list request has it
        token: str = request.page_token  # type: ignore[attr-defined] # likewise
        if size < 0:
            raise InvalidArgumentError.of("page_size", "must not be negative")
        after = _open(token, self._sealed(request)) if token else None
        return min(size or MOST, MOST), after

    def token(self, request: Message, last: Position | None) -> str:
        """Return the token of the page after a position; an empty one after the last page."""
        if last is None:
            return ""
        content = json.dumps(last, ensure_ascii=False).encode(errors="surrogatepass")
        return base64.urlsafe_b64encode(self._sealed(request).sign(content) + content).decode()

    def paginate(
        self,
        items: Sequence[T],
        request: Message,
        position: Callable[[T], Position],
        show: Callable[[T], M],
        *,
        newest_first: bool = False,
    ) -> tuple[list[M], str]:
        """Return the messages of the page that `request` asks for, and the next page's token.

        Args:
            items: all items, sorted by `position`.
            request: has page_size and page_token.
            position: what an item is sorted by; unique.
            show: makes the message of an item.
            newest_first: the items are sorted the other way round.
        """
        limit, last = self.bounds(request)
        start = 0
        if last is not None:
            after = operator.lt if newest_first else operator.gt
            start = bisect_left(items, True, key=lambda item: after(position(item), last))
        budget = PageBudget()
        shown: list[M] = []
        for item in items[start : start + limit]:
            message = show(item)
            if not budget.take(message.ByteSize()):
                break
            shown.append(message)
        end = start + len(shown)
        return shown, self.token(request, position(items[end - 1]) if end < len(items) else None)

    def _sealed(self, request: Message) -> BoundSigner:
        same = type(request)()
        same.CopyFrom(request)
        same.ClearField("page_token")
        same.ClearField("page_size")
        return self._signer.bound_to(
            same.DESCRIPTOR.full_name.encode(),
            caller.current().username.encode(),
            same.SerializeToString(deterministic=True),
        )


def _open(token: str, signer: BoundSigner) -> Position:
    """Return the position in a token.

    Raises:
        PageTokenInvalidError: the token was not made for this caller and request.
    """
    try:
        sealed = base64.urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        raise PageTokenInvalidError from None
    signature, content = sealed[:LENGTH], sealed[LENGTH:]
    if not signer.verifies(content, signature):
        raise PageTokenInvalidError
    return tuple(json.loads(content.decode(errors="surrogatepass")))
