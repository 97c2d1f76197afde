"""Values in the form that people write and read: sizes, durations, ages, enums, names."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import typer
from google.protobuf.descriptor import EnumDescriptor

from proa import v1

NumberT_co = TypeVar("NumberT_co", covariant=True)

MOST = 2**31 - 1  # maximum of an int32 in the contract
_LARGEST = 2**63
_LONGEST = timedelta(days=36500)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(?:i?b)?)", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


class Enum(Protocol[NumberT_co]):
    """A protobuf enum."""

    @property
    def DESCRIPTOR(self) -> EnumDescriptor:  # noqa: N802 - protobuf's name
        """The descriptor of the enum."""

    def keys(self) -> list[str]:
        """Return the names of its values, the unspecified one first."""

    def Value(self, name: str) -> NumberT_co:  # noqa: N802 - protobuf's name
        """Return the number of a value."""


def size(text: str) -> int:
    """Parse a size in bytes: "512MiB", "2G", "1048576". Units are powers of 1024, as Docker's."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size; write it like 512MiB or 2G")
    bytes = float(match[1]) * 1024 ** _UNITS[match[2].lower()]
    if bytes >= _LARGEST:
        raise typer.BadParameter(f"{text!r} is more than can be asked for, 8 EiB and more")
    return int(bytes)


def signed_size(text: str) -> int:
    """Parse a size, or -1 for no limit."""
    return -1 if text.strip() == "-1" else size(text)


def duration(text: str) -> timedelta:
    """Parse a duration: "30s", "1m", "1h30m", or "10" for seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match[0]:
        raise typer.BadParameter(f"{text!r} is no duration; write it like 30s or 1m30s")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    if hours * 3600 + minutes * 60 + seconds > _LONGEST.total_seconds():
        raise typer.BadParameter(f"{text!r} is more than can be asked for, {_LONGEST.days} days")
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def pairs(texts: list[str] | None) -> Mapping[str, str]:
    """Parse "key=value" pairs; a missing value is empty."""
    found = {}
    for text in texts or ():
        key, _, value = text.partition("=")
        if not key:
            raise typer.BadParameter(f"{text!r} has no name; write it like name=value")
        found[key] = value
    return found


def word(enum: Enum[NumberT_co], name: str) -> str:
    """Return a value of an enum as a word: STOP_MODE_FORCE is "force"."""
    return name.removeprefix(_prefix(enum)).lower().replace("_", "-")


def words(enum: Enum[NumberT_co]) -> str:
    """Return the words of all values of an enum that can be set, for a help text."""
    return "|".join(word(enum, name) for name in _settable(enum))


def one_of(enum: Enum[NumberT_co]) -> Callable[[str], NumberT_co]:
    """Return a parser for the words of an enum."""
    names = {word(enum, name): name for name in _settable(enum)}

    def parse(text: str) -> NumberT_co:
        name = names.get(text.lower().replace("_", "-"))
        if name is None:
            raise typer.BadParameter(f"{text!r} is none of {', '.join(names)}")
        return enum.Value(name)

    return parse


def _settable(enum: Enum[NumberT_co]) -> list[str]:
    return [
        value.name
        for value in enum.DESCRIPTOR.values[1:]
        if not value.GetOptions().Extensions[v1.output_only]
    ]


def _prefix(enum: Enum[NumberT_co]) -> str:
    return enum.keys()[0].removesuffix("UNSPECIFIED")


def human_size(count: int) -> str:
    """Return a size for people: "1.5 GiB"."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:  # noqa: PLR2004 - what a kilo is here
            break
        value, unit = value / 1024, larger
    # .3g would format 1000 as 1e+03.
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"  # noqa: PLR2004


def age(then: datetime) -> str:
    """Return the approximate time that has passed: "3 hours"."""
    seconds = max(0, int((datetime.now(UTC) - then).total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} s"


def escaped(text: str, *, keep: str = "") -> str:
    r"""Escape invisible characters as Python does: ESC becomes "\x1b".

    These are the C0 and C1 controls, DEL, bidirectional and other invisible formatting
    characters, lone surrogates and unassigned code points: a terminal may interpret them or
    display a misleading text. Line ends are escaped, too, unless they are in `keep`, so that
    a name cannot imitate a second line.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )
