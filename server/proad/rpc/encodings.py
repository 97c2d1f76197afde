"""Caches of encoded messages, and how to join encoded messages."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from proa import v1
from proad.core.kept_with import KeptWith
from proad.model import Resource
from proad.rpc.encode import encode
from proad.rpc.redaction import Redact, nothing

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Bytes that Python needs for an entry of a mapping, about.
_ENTRY = 300

# https://protobuf.dev/programming-guides/encoding: the wire type of fields with a length, and
# the bits of a varint's byte that carry the value; the highest bit says that another byte follows.
_EMBEDDED = 2
_LOW = 0x7F


class LruCache(Generic[K, V]):
    """A cache of encoded messages by key, which drops the least recently used ones.

    Args:
        most: the bytes that the cache may take.
    """

    def __init__(self, most: int) -> None:
        self._room = most
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value of a key; None if it is not cached."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def put(self, key: K, value: V, size: int) -> V:
        """Cache a value and return it.

        Args:
            key: the key.
            value: the value.
            size: bytes of key and value, without Python's own overhead.
        """
        if (before := self._kept.pop(key, None)) is not None:
            self._room += before[1]
        size += _ENTRY
        self._kept[key] = value, size
        self._room -= size
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1][1]
        return value


class EncodingCache(KeptWith[bytes]):
    """A cache of encoded resources, each for the lifetime of the resource object.

    Args:
        make: encodes a resource.
    """

    def __init__(self, make: Callable[[Resource], bytes]) -> None:
        super().__init__()
        self._make = make

    def get(self, resource: Resource) -> bytes:
        """Return a resource encoded."""
        kept = super().get(resource)
        return self.put(resource, self._make(resource)) if kept is None else kept


def first_field(resource: Resource, redact: Redact = nothing) -> bytes:
    """Encode a resource as field 1 of a message, its number in every response with a resource.

    To concatenate encoded messages is to merge them: an encoded list is its resources, joined.
    """
    message = encode(v1.Resource, resource)
    redact(message)
    return v1.GetResourceResponse(resource=message).SerializeToString()


def renumbered(field: bytes, number: int) -> bytes:
    """Return an embedded message, which is field 1, with another number below 16."""
    return bytes((number << 3 | _EMBEDDED,)) + field[1:]


def embedded(number: int, message: bytes) -> bytes:
    """Return an encoded message as a field of another message, with a number below 16."""
    head, size = bytearray((number << 3 | _EMBEDDED,)), len(message)
    while size > _LOW:
        head.append(size & _LOW | ~_LOW & 0xFF)
        size >>= 7
    head.append(size)
    return bytes(head) + message
