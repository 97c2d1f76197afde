"""From a type of the model to a message of the contract.

The other direction of `decode`, by the same rule: same names on both sides.
"""

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import structlog
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from proad.rpc.names import enum_number
from proad.rpc.truncate import truncation

M = TypeVar("M", bound=Message)
_Setter = Callable[[Message, Any], None]

_log = structlog.get_logger(__name__)

# https://protobuf.dev/reference/protobuf/google.protobuf/#duration
_LONGEST = timedelta(seconds=315_576_000_000)


@dataclass(slots=True)
class _Field:
    """A field that both sides have.

    Attributes:
        name: its name.
        put: sets the field in a message.
        logged: whether a value that did not fit was logged.
    """

    name: str
    put: _Setter
    logged: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to fill a message: its fields, and what truncates it."""

    fields: tuple[_Field, ...]
    truncate: Callable[[Any], None] | None


def encode(cls: type[M], value: Any) -> M:
    """Return a message `cls` of a model value that has the same fields.

    A value that does not fit the contract is left out and logged once: one wrong value of a
    driver must not cost the caller all the others. Messages that clients would not accept for
    their size are truncated, at any depth.
    """
    message = cls()
    _fill(message, value)
    return message


def _fill(message: Message, value: Any) -> None:
    filling = plan(message.DESCRIPTOR, type(value))  # type: ignore[arg-type] # mypy: a type has no __hash__
    for field in filling.fields:
        content = getattr(value, field.name)
        if content is None:
            continue
        try:
            field.put(message, content)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
            message.ClearField(field.name)
            _log_misfit(message, field, error)
    if filling.truncate is not None:
        filling.truncate(message)


def _log_misfit(message: Message, field: _Field, error: Exception) -> None:
    if not field.logged:
        field.logged = True
        _log.error(
            "value does not fit the contract",
            field=f"{message.DESCRIPTOR.full_name}.{field.name}",
            error=type(error).__name__,  # its text may show the value, which may be a secret
        )


@cache
def plan(descriptor: Descriptor, cls: type) -> _Plan:
    """Return how to fill messages from values of a type, made once for each pair of types."""
    known = getattr(cls, "__dataclass_fields__", {})
    return _Plan(
        tuple(
            _Field(field.name, _setter(field)) for field in descriptor.fields if field.name in known
        ),
        truncation(descriptor),
    )


def _setter(field: FieldDescriptor) -> _Setter:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _entries(field)
    if field.is_repeated:
        return _repeated(field)
    if field.message_type is not None:
        return lambda message, value: _put_message(getattr(message, name), value)
    if (enum := field.enum_type) is not None:
        return lambda message, value: setattr(message, name, enum_number(enum, value))
    return lambda message, value: setattr(message, name, value)


def _entries(field: FieldDescriptor) -> _Setter:
    name = field.name
    entry: Any = field.message_type
    if entry.fields_by_name["value"].message_type is None:
        return lambda message, value: getattr(message, name).update(value)

    def add(message: Message, values: Any) -> None:
        entries = getattr(message, name)
        for key, value in values.items():
            _put_message(entries[key], value)

    return add


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
            # Near the ends of the calendar a time may have no place in it in UTC.
            message.FromDatetime(value.astimezone(UTC))
        case timedelta():
            if abs(value) > _LONGEST:
                raise OverflowError("longer than a Duration")
            message.FromTimedelta(value)
        case _ if is_dataclass(value):
            message.SetInParent()  # also when none of its fields is set
            _fill(message, value)
        case _:
            raise TypeError(f"no rule for {type(value)} in {message.DESCRIPTOR.full_name}")
