"""Field selection: `read_mask`."""

from typing import Any, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from proad.errors import FieldViolation, InvalidArgumentError

M = TypeVar("M", bound=Message)


def check_mask(mask: FieldMask, cls: type[Message]) -> None:
    """Refuse a mask that names what `cls` does not have."""
    violations = [
        FieldViolation("read_mask", f"{path!r} is not a field of {cls.DESCRIPTOR.name}")
        for path in mask.paths
        if not _fits(path, cls)
    ]
    if violations:
        raise InvalidArgumentError(violations)


def _fits(path: str, cls: type[Message]) -> bool:
    # The two kinds of descriptor, in Python and in C, are told apart by the stubs only.
    descriptor: Any = cls.DESCRIPTOR
    return FieldMask(paths=[path]).IsValidForDescriptor(descriptor)


def masked(message: M, mask: FieldMask) -> M:
    """Give what the mask names of a message; all of it if the mask is empty."""
    if not mask.paths:
        return message
    chosen = type(message)()
    mask.MergeMessage(message, chosen)
    return chosen
