"""Truncation of messages that clients would not accept for their size."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from proa import v1

M = TypeVar("M", bound=Message)

MOST_BYTES = 3 * 2**20
"""The most bytes of a page and of an item: three of the 4 MiB that clients accept by default, so
that there is room for the rest of the message."""

# Bytes of the tag and the length of an item.
ITEM_OVERHEAD = 8

# The fields that engines do not limit, as the comment of each `truncated` lists them.
_LEFT_OUT: Mapping[Descriptor, tuple[str, ...]] = MappingProxyType(
    {
        v1.Resource.DESCRIPTOR: (
            *("labels", "container.spec", "domain.spec"),
            *("container.env", "container.command"),
            *("container", "domain", "state_detail"),
        ),
        v1.Image.DESCRIPTOR: (
            *("labels", "env", "command", "entrypoint", "exposed_ports"),
            *("digests", "tags"),
        ),
        v1.Snapshot.DESCRIPTOR: ("description",),
    }
)


def truncation(descriptor: Descriptor) -> Callable[[Any], None] | None:
    """Return what truncates messages of a type to `MOST_BYTES`; None: they are never larger."""
    paths = _LEFT_OUT.get(descriptor)
    return None if paths is None else lambda message: _truncate(message, paths)


def _truncate(message: Any, paths: tuple[str, ...]) -> None:
    for path in paths:
        if message.ByteSize() <= MOST_BYTES:
            return
        parent, _, field = path.rpartition(".")
        if parent and not message.HasField(parent):
            continue  # to clear a field in it would set it
        holder = getattr(message, parent) if parent else message
        holder.ClearField(field)
        message.truncated = True
