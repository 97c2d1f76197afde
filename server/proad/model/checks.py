"""Field types with the limits that raw data must keep; `validate` enforces them.

The constructors of the model trust their caller, as a driver that reads an
engine's answer must be able to; `validate` is the door for data from outside.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from proad.errors import FieldViolation, InvalidArgumentError

GRACE_LIMIT = timedelta(hours=1)


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path or "/../" in f"{path}/":
        raise ValueError("must be an absolute path without '..'")
    return path


def _mac(value: str) -> str:
    if value and not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", value):
        raise ValueError("must be six hexadecimal pairs with colons, such as 52:54:00:12:34:56")
    return value


Text = Annotated[str, AfterValidator(_no_nul)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
MacAddress = Annotated[str, AfterValidator(_mac)]
Port = Annotated[int, Field(ge=1, le=65535)]
Grace = Annotated[timedelta, Field(ge=timedelta(0), le=GRACE_LIMIT)]
# An engine name that is also safe as a file name: volumes are named after domains.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]


T = TypeVar("T")


@cache
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def validate(cls: type[T], values: Mapping[str, Any], *, prefix: str = "") -> T:
    """Make a `cls` of raw values, every limit checked.

    `prefix` is the field path of `values` in the request, such as "spec".

    Raises:
        InvalidArgumentError: with one violation for each wrong field.
    """
    try:
        checked: T = _adapter(cls).validate_python(dict(values))  # type: ignore[arg-type] # mypy: an unbound T has no __hash__
    except ValidationError as error:
        raise InvalidArgumentError(
            [
                FieldViolation(_path(prefix, details["loc"]), _sentence(details["msg"]))
                for details in error.errors(include_url=False, include_input=False)
            ]
        ) from None
    return checked


def _path(prefix: str, location: tuple[int | str, ...]) -> str:
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
