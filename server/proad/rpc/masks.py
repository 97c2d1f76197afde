"""Field selection: a mask, parsed once for all messages that it is applied to."""

from typing import Any, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from proad.errors import FieldViolation, InvalidArgumentError

M = TypeVar("M", bound=Message)

_TRUNCATED = "truncated"

# The selected fields by name, each with those below it; none below: the whole field.
_Tree = dict[str, "_Tree"]


class ReadMask:
    """The fields of a message type that a caller selects.

    Args:
        mask: the paths of the fields; none: all fields.
        cls: the message type.
        field: the field of the request that has the mask.

    Raises:
        InvalidArgumentError: a path leads to no field of `cls`.
    """

    def __init__(self, mask: FieldMask, cls: type[Message], *, field: str = "read_mask") -> None:
        self._tree: _Tree = {}
        violations = []
        for path in mask.paths:
            if _leads_to_a_field(path, cls.DESCRIPTOR):
                self._add(path)
            else:
                text = f"{path!r} is not a field of {cls.DESCRIPTOR.name}"
                violations.append(FieldViolation(field, text))
        if violations:
            raise InvalidArgumentError(violations)

    def __bool__(self) -> bool:
        return bool(self._tree)

    def apply(self, message: M) -> M:
        """Return the selected fields of a message, and its `truncated`."""
        if not self._tree:
            return message
        selected = type(message)()
        _copy(self._tree, message, selected)
        if getattr(message, _TRUNCATED, False):
            # A selected field may be one that was left out.
            setattr(selected, _TRUNCATED, True)
        return selected

    def _add(self, path: str) -> None:
        *parents, last = path.split(".")
        tree = self._tree
        for name in parents:
            if tree.get(name) == {}:
                return  # selected as a whole
            tree = tree.setdefault(name, {})
        tree[last] = {}


def _leads_to_a_field(path: str, descriptor: Any) -> bool:
    *parents, last = path.split(".")
    for name in parents:
        field = descriptor.fields_by_name.get(name)
        if field is None or field.is_repeated or field.message_type is None:
            return False
        descriptor = field.message_type
    return last in descriptor.fields_by_name


def _copy(tree: _Tree, source: Any, target: Any) -> None:
    """Copy the selected fields, as `FieldMask.MergeMessage` does."""
    fields = source.DESCRIPTOR.fields_by_name
    for name, below in tree.items():
        field = fields[name]
        if field.is_repeated:
            getattr(target, name).MergeFrom(getattr(source, name))
        elif field.message_type is None:
            if not field.has_presence or source.HasField(name):
                setattr(target, name, getattr(source, name))
            else:
                target.ClearField(name)  # its parent is there all the same
        elif source.HasField(name):
            value, into = getattr(source, name), getattr(target, name)
            if below:
                _copy(below, value, into)
            else:
                into.MergeFrom(value)
