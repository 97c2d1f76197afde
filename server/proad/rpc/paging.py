"""Pages of a list: opaque tokens that say where to go on."""

import base64
import binascii
import json
import operator
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from proad.errors import InvalidArgumentError, PageTokenInvalidError

T = TypeVar("T")

MOST = 1000


class _Comparable(Protocol):
    def __gt__(self, other: Any) -> bool: ...
    def __lt__(self, other: Any) -> bool: ...


def paginate(
    items: Sequence[T],
    request: Message,
    position: Callable[[T], tuple[str, ...]],
    *,
    comparable: Callable[[tuple[str, ...]], _Comparable] = lambda values: values,
    newest_first: bool = False,
) -> tuple[Sequence[T], str]:
    """Cut the page that `request` asks for out of sorted items.

    A token carries the position of the last item of a page, so that items that come or
    go between two pages shift nothing. It is bound to all other fields of the request.

    Args:
        items: all items, sorted by `comparable(position(item))`.
        request: has page_size and page_token.
        position: what an item is sorted by; unique.
        comparable: what makes positions comparable, where plain tuples are not it.
        newest_first: the items are sorted the other way round.

    Returns:
        The page, and the token of the next one; empty after the last.
    """
    size: int = request.page_size  # type: ignore[attr-defined] # every list request has it
    token: str = request.page_token  # type: ignore[attr-defined] # likewise
    if size < 0:
        raise InvalidArgumentError.of("page_size", "must not be negative")
    fingerprint = _fingerprint(request)
    start = 0
    if token:
        try:
            last = comparable(_open(token, fingerprint))
        except ValueError:
            raise PageTokenInvalidError from None
        after = operator.lt if newest_first else operator.gt
        start = next(
            (i for i, item in enumerate(items) if after(comparable(position(item)), last)),
            len(items),
        )
    page = items[start : start + min(size or MOST, MOST)]
    more = start + len(page) < len(items)
    return page, _seal(position(page[-1]), fingerprint) if more else ""


def _fingerprint(request: Message) -> str:
    same = type(request)()
    same.CopyFrom(request)
    same.ClearField("page_token")
    same.ClearField("page_size")
    return sha256(same.SerializeToString(deterministic=True)).hexdigest()[:16]


def _seal(values: tuple[str, ...], fingerprint: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *values]).encode()).decode()


def _open(token: str, fingerprint: str) -> tuple[str, ...]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, UnicodeDecodeError, RecursionError):
        raise ValueError("not a token") from None
    match content:
        case [mark, *values] if mark == fingerprint and all(isinstance(v, str) for v in values):
            return tuple(values)
        case _:
            raise ValueError("a token of another request")
