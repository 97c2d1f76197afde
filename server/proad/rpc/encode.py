"""From a type of the model to a message of the contract.

The other direction of `decode`, by the same rule: same names on both sides.
"""

from collections.abc import Callable
from dataclasses import is_dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from proad.rpc.names import enum_number

M = TypeVar("M", bound=Message)
_Setter = Callable[[Message, Any], None]


def encode(cls: type[M], value: Any) -> M:
    """Make a message `cls` of a model value that has the same fields."""
    message = cls()
    _fill(message, value)
    return message


def _fill(message: Message, value: Any) -> None:
    for name, put in _plan(message.DESCRIPTOR, type(value)):  # type: ignore[arg-type] # mypy: a type has no __hash__
        field = getattr(value, name)
        if field is not None:
            put(message, field)


@cache
def _plan(descriptor: Descriptor, cls: type) -> tuple[tuple[str, _Setter], ...]:
    known = getattr(cls, "__dataclass_fields__", {})
    return tuple((field.name, _setter(field)) for field in descriptor.fields if field.name in known)


def _setter(field: FieldDescriptor) -> _Setter:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return lambda message, value: getattr(message, name).update(value)
    if field.is_repeated:
        return _repeated(field)
    if field.message_type is not None:
        return lambda message, value: _put_message(getattr(message, name), value)
    if (enum := field.enum_type) is not None:
        return lambda message, value: setattr(message, name, enum_number(enum, value))
    return lambda message, value: setattr(message, name, value)


def _repeated(field: FieldDescriptor) -> _Setter:
    name = field.name
    if field.message_type is not None:

        def add(message: Message, values: Any) -> None:
            items = getattr(message, name)
            for value in values:
                _put_message(items.add(), value)

        return add
    if (enum := field.enum_type) is not None:
        return lambda message, values: getattr(message, name).extend(
            enum_number(enum, value) for value in values
        )
    return lambda message, values: getattr(message, name).extend(values)


def _put_message(message: Any, value: Any) -> None:
    match value:
        case datetime():
            message.FromDatetime(value)
        case timedelta():
            message.FromTimedelta(value)
        case _ if is_dataclass(value):
            message.SetInParent()  # also when none of its fields is set
            _fill(message, value)
        case _:
            raise TypeError(f"no rule for {type(value)} in {message.DESCRIPTOR.full_name}")
