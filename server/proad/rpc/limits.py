"""Limits of the fields of requests, compiled once from the contract."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from proa import v1
from proad.errors import InvalidArgumentError

# Checks a value against its limit; the path is for the error.
_Check = Callable[[Any, str], None]

_MASK = "google.protobuf.FieldMask"


class FieldLimits:
    """The limits of the fields of a message type, and of the messages in them.

    Counts are checked first, so that the items of too long a list are not checked one by one.

    Args:
        descriptor: the message type; its fields have the limits as options.
    """

    def __init__(self, descriptor: Any) -> None:
        self._checks: dict[int, tuple[str, _Check]] = {
            field.number: (field.name, check)
            for field in descriptor.fields
            if (check := _check_of(field)) is not None
        }

    def check(self, message: Message, path: str = "") -> None:
        """Check a message against all limits.

        Raises:
            InvalidArgumentError: a field exceeds its limit; with the path of the first one.
        """
        checks = self._checks
        for field, value in message.ListFields():
            if (found := checks.get(field.number)) is not None:
                name, check = found
                check(value, f"{path}.{name}" if path else name)


def _check_of(field: FieldDescriptor) -> _Check | None:
    """Return the check of a field; None: the field has no limit."""
    options: Any = field.GetOptions().Extensions
    items, length = options[v1.max_items], options[v1.max_length]
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = inner.fields_by_name["value"].message_type
        each = _text(length) if value is None else FieldLimits(value).check
        return _entries(items, options[v1.max_key_length], each)
    if inner is not None and inner.full_name == _MASK:
        return _paths(items, length)
    of_text = field.type == FieldDescriptor.TYPE_STRING
    text = _text(length, "characters" if of_text else "bytes") if length else None
    single = FieldLimits(inner).check if inner is not None else text
    if field.is_repeated and items:
        return _items(items, single)
    return single


def _text(most: int, unit: str = "characters") -> _Check:
    def check(value: str | bytes, path: str) -> None:
        if len(value) > most:
            raise InvalidArgumentError.of(path, f"must have at most {most} {unit}")

    return check


def _items(most: int, single: _Check | None) -> _Check:
    def check(values: Any, path: str) -> None:
        _count(values, most, "items", path)
        if single is not None:
            for index, value in enumerate(values):
                single(value, f"{path}[{index}]")

    return check


def _entries(most: int, key_length: int, single: _Check) -> _Check:
    def check(entries: Mapping[str, Any], path: str) -> None:
        _count(entries, most, "entries", path)
        for key, value in entries.items():
            if len(key) > key_length:
                raise InvalidArgumentError.of(
                    path, f"a key must have at most {key_length} characters"
                )
            single(value, f"{path}.{key}")

    return check


def _paths(most: int, length: int) -> _Check:
    def check(mask: Any, path: str) -> None:
        _count(mask.paths, most, "paths", path)
        if any(len(one) > length for one in mask.paths):
            raise InvalidArgumentError.of(path, f"a path must have at most {length} characters")

    return check


def _count(things: Any, most: int, name: str, path: str) -> None:
    if len(things) > most:
        raise InvalidArgumentError.of(path, f"must have at most {most} {name}, not {len(things)}")
