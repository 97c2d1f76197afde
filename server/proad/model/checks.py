"""Field types with limits, and `validate`, which enforces them.

The constructors of the model do not validate, since drivers must be able to represent any answer
of an engine; data from callers goes through `validate`.
"""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from proad.errors import FieldViolation, InvalidArgumentError

_LONGEST_FILE_NAME = 255
GRACE_LIMIT = timedelta(hours=1)


def named_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse labels without a name."""
    if "" in labels:
        raise ValueError("a key must not be empty")
    return labels


_Named = TypeVar("_Named", bound=Collection[str])


def named_variables(names: _Named) -> _Named:
    """Refuse what is no name of a variable of an environment, among names or keys."""
    for name in names:
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name of a variable")
    return names


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _xml_text(value: str) -> str:
    # Characters that no XML document can contain, NUL included.
    if re.search(r"[^\t\n\x20-\ufffd\U00010000-\U0010ffff]", value):
        raise ValueError("must not contain control characters")
    return value


def _absolute(path: str) -> str:
    if not path.startswith("/") or "/../" in f"{path}/":
        raise ValueError("must be an absolute path without '..'")
    return _xml_text(path)


def spelled(pattern: str, rule: str) -> AfterValidator:
    """Return a check that a text matches `pattern`; `rule` is its error message."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(rule)
        return value

    return AfterValidator(check)


Text = Annotated[str, AfterValidator(_no_nul)]
XmlText = Annotated[str, AfterValidator(_xml_text)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
MacAddress = Annotated[
    str,
    spelled(
        r"([0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5})?",
        "must be six hexadecimal pairs with colons, such as 52:54:00:12:34:56",
    ),
    spelled(
        r"(.[02468aceACE].*)?",
        "must be the address of one card: the second digit of a multicast address is odd",
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Grace = Annotated[timedelta, Field(ge=timedelta(0), le=GRACE_LIMIT)]


def _volume_name(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    if "/" in value or value in {".", ".."}:
        raise ValueError("must be the name of a volume, not a path")
    if len(value.encode(errors="replace")) > _LONGEST_FILE_NAME:
        raise ValueError(f"must have at most {_LONGEST_FILE_NAME} bytes")
    return value


# The name of an existing volume, of any origin: any possible file name.
VolumeName = Annotated[Text, AfterValidator(_volume_name)]
# A name that is also safe as a file name, since volumes are named after domains.
FileName = Annotated[
    str,
    Field(max_length=200),
    spelled(
        r"([A-Za-z0-9][A-Za-z0-9_.+-]*)?",
        "must consist of letters and digits of ASCII, and after the first also '_.+-'",
    ),
]
Name = Annotated[FileName, Field(min_length=1)]
# The maximum of engines, and more than any host has.
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=0)]


T = TypeVar("T")


@cache
def adapter(cls: type[Any]) -> TypeAdapter[Any]:
    """Return the checks of a class, which are made at the first use."""
    return TypeAdapter(cls)


def prepare(*classes: type[Any]) -> None:
    """Prepare the checks of classes: the first check of each takes up to tens of milliseconds."""
    for cls in classes:
        adapter(cls)  # type: ignore[arg-type] # mypy: type[Any] has no __hash__


def validate(cls: type[T], values: Mapping[str, Any], *, prefix: str = "") -> T:
    """Return a `cls` with the given values, after a check of every limit.

    `prefix` is the field path of `values` in the request, such as "spec".

    Raises:
        InvalidArgumentError: fields are invalid; with one violation for each.
    """
    try:
        checked: T = adapter(cls).validate_python(dict(values))  # type: ignore[arg-type] # mypy: an unbound T has no __hash__
    except ValidationError as error:
        raise InvalidArgumentError(
            [
                FieldViolation(_path(prefix, details["loc"]), _sentence(details))
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


def _sentence(details: ErrorDetails) -> str:
    """Return pydantic's message in the style of our own, without programming terms."""
    limits = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is required"
        case "string_too_short" | "too_short":  # the second after a check of ours
            return "must not be empty"
        case "string_too_long" | "too_long":
            return f"must have at most {limits['max_length']} characters"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case _:
            message = details["msg"].removeprefix("Value error, ")
            return message.replace("Input should be", "must be")
