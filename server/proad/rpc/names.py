"""The names of enum values in the contract."""

import re
from functools import cache

from google.protobuf.descriptor import EnumDescriptor

from proa import v1


@cache
def enum_prefix(enum: EnumDescriptor) -> str:
    """Return the prefix of an enum's values: RESOURCE_KIND_ for ResourceKind."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"


@cache
def enum_number(enum: EnumDescriptor, name: str) -> int:
    """Return the number of a value by its name in the model."""
    number: int = enum.values_by_name[enum_prefix(enum) + name].number
    return number


@cache
def settable(enum: EnumDescriptor) -> tuple[str, ...]:
    """Return the names of the values that a request may set."""
    return tuple(
        value.name for value in enum.values[1:] if not value.GetOptions().Extensions[v1.output_only]
    )
