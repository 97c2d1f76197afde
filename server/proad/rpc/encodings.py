"""Messages that were encoded before: a resource that did not change is not encoded again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import ref

from proa import v1
from proad.model import Resource
from proad.rpc.encode import encode

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Bytes that Python takes for something that is kept by a key: some 300.
_ENTRY = 300

# https://protobuf.dev/programming-guides/encoding: the wire type of what has a length,
# and what of a byte counts where the highest bit says that another one follows.
_EMBEDDED = 2
_LOW = 0x7F


class LruCache(Generic[K, V]):
    """What was encoded last, by key.

    Args:
        most: how many bytes are kept.
    """

    def __init__(self, most: int) -> None:
        self._room = most
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Give what is kept for a key."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def keep(self, key: K, value: V, size: int) -> V:
        """Keep something, at the cost of what was not used for the longest time.

        Args:
            key: what it is asked for by.
            value: what to keep.
            size: bytes of key and value, without what Python itself takes.
        """
        if (before := self._kept.pop(key, None)) is not None:
            self._room += before[1]
        size += _ENTRY
        self._kept[key] = value, size
        self._room -= size
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1][1]
        return value


class EncodingCache:
    """What a resource is when it is encoded, kept for as long as the resource itself.

    The inventory gives the very same object for as long as a resource does not change,
    and lets go of it afterwards: what is known now is what is kept.

    Args:
        make: encodes a resource.
    """

    def __init__(self, make: Callable[[Resource], bytes]) -> None:
        self._make = make
        self._kept: dict[int, tuple[ref[Resource], bytes]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, resource: Resource) -> bytes:
        """Give a resource encoded."""
        key = id(resource)  # a resource has mappings, and so no hash
        kept = self._kept.get(key)
        if kept is not None and kept[0]() is resource:
            return kept[1]
        made, all_kept = self._make(resource), self._kept
        all_kept[key] = (ref(resource, lambda _: all_kept.pop(key, None)), made)
        return made


def first_field(resource: Resource) -> bytes:
    """Encode a resource as field 1 of a message, which it is in every response that has one.

    To join encoded messages is to merge them, so that a list is made of pieces.
    """
    return v1.GetResourceResponse(resource=encode(v1.Resource, resource)).SerializeToString()


def renumbered(field: bytes, number: int) -> bytes:
    """Give an embedded message that is field 1 another number, below 16."""
    return bytes((number << 3 | _EMBEDDED,)) + field[1:]


def embedded(number: int, message: bytes) -> bytes:
    """Give an encoded message as a field of another one, of a number below 16."""
    head, size = bytearray((number << 3 | _EMBEDDED,)), len(message)
    while size > _LOW:
        head.append(size & _LOW | ~_LOW & 0xFF)
        size >>= 7
    head.append(size)
    return bytes(head) + message
