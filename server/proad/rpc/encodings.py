"""Messages that were encoded before: a resource that did not change is not encoded again."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

from proa import v1
from proad.model import Resource
from proad.rpc.encode import encode

K = TypeVar("K")
V = TypeVar("V")

_MOST = 10_000


class Recent(Generic[K, V]):
    """What was used last, by key.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Give what is kept for a key."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def keep(self, key: K, value: V) -> V:
        """Keep something, at the cost of what was not used for the longest time."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value


class EncodedResources:
    """Resources inside of a message, encoded.

    The inventory gives the very same object for as long as a resource does not change.
    To join encoded messages is to merge them, so that a list is made of pieces.

    Args:
        within: puts a resource into the message.
    """

    def __init__(self, within: Callable[[v1.Resource], Message]) -> None:
        self._within = within
        self._kept: Recent[tuple[str, str], tuple[Resource, bytes]] = Recent(_MOST)

    def get(self, resource: Resource) -> bytes:
        """Give the message with this resource in it."""
        key = (resource.host, resource.id)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is resource:
            return kept[1]
        made = self._within(encode(v1.Resource, resource)).SerializeToString()
        return self._kept.keep(key, (resource, made))[1]
