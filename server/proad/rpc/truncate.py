"""Messages that would be too large to be taken: what is left out of them, and in which order."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from proa import v1

M = TypeVar("M", bound=Message)

MOST_BYTES = 3 * 2**20
"""Of a page and of what it lists: of the 4 MiB that clients take unless they are told otherwise,
three, so that there is room around them."""

# Of an item, for its tag and its length.
AROUND = 8

# Paths of what engines set no bound to, as the comment of each `truncated` has them.
_LEFT_OUT: Mapping[Descriptor, tuple[str, ...]] = MappingProxyType(
    {
        v1.Resource.DESCRIPTOR: (
            *("labels", "container.env", "container.command"),
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
    """Give what keeps messages of a type below `MOST_BYTES`; None: they are never larger."""
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


def parted(message: M) -> Iterator[M]:
    """Yield a message that has nothing but lists as one, or as several that clients take."""
    if message.ByteSize() <= MOST_BYTES:
        yield message
        return
    part, left = type(message)(), MOST_BYTES
    for field, items in message.ListFields():
        for item in items:
            size = item.ByteSize() + AROUND
            if size > left:
                yield part
                part, left = type(message)(), MOST_BYTES
            left -= size
            getattr(part, field.name).append(item)
    yield part
