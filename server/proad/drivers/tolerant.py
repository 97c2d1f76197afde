"""Tolerant access to the answers of engines.

Every part of an answer may be missing, null, of another type or out of range. Access never raises:
an unreadable part counts as missing, and is logged once. Values fit into the contract: texts are
UTF-8, numbers have 64 bits, times are in UTC and within the calendar.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger(__name__)

MOST = 2**63 - 1
"""The largest number of the contract."""
INT32 = 2**31 - 1
# Longer numbers are slow to parse, and Python refuses those of some thousand digits.
_LONGEST_NUMBER = 40
# Errors of conversions of unexpected values; libvirt's bindings raise SystemError for text that
# is no UTF-8, and lxml has syntax errors.
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    SyntaxError,
    SystemError,
)


class Omissions:
    """The unreadable parts of the answers of an engine, each logged once.

    Used from any thread.

    Args:
        engine: name of the engine, for the log.
        resources: number of resources whose log entries are remembered. A part is a place in
            the schema of an answer, so that there are few of each.
    """

    def __init__(self, engine: str, *, resources: int = 10_000) -> None:
        self._engine = engine
        self._resources = resources
        self._lock = threading.Lock()
        self._logged: dict[str, set[str]] = {}

    def note(self, about: str, part: str, wanted: str, found: object) -> None:
        """Log that a part is unreadable, unless it was logged before.

        Log the type of the value, but not the value, which may be a secret.

        Args:
            about: id of the resource.
            part: place in the answer, such as "HostConfig.Memory".
            wanted: the expected value.
            found: the actual value.
        """
        with self._lock:
            logged = self._logged.get(about)
            if logged is None:
                if len(self._logged) >= self._resources:
                    del self._logged[next(iter(self._logged))]  # the oldest
                logged = self._logged[about] = set()
            if part in logged:
                return
            logged.add(part)
        _log.warning(
            "answer unreadable",
            engine=self._engine,
            resource=about,
            part=part,
            wanted=wanted,
            found=type(found).__name__,
        )

    def attempt(self, about: str, part: str, read: Callable[[], T], default: T) -> T:
        """Return the result of `read`, or `default` if it fails at an unreadable part."""
        try:
            return read()
        except _UNREADABLE as error:
            self.note(about, part, "what can be read", error)
            return default


class Unlogged(Omissions):
    """Omissions of which the log has nothing."""

    def __init__(self) -> None:
        super().__init__("")

    def note(self, about: str, part: str, wanted: str, found: object) -> None:
        """Say nothing."""


class Value:
    """A value of an answer, with access as the expected type.

    None stands for a missing value, which is not logged.

    Args:
        raw: the value as from `json.loads`.
        omissions: records unreadable parts.
        about: id of the resource that the answer is about.
        path: place of the value in the answer.
    """

    __slots__ = ("_about", "_omissions", "_path", "_raw")

    def __init__(self, raw: object, omissions: Omissions, about: str = "", path: str = "") -> None:
        self._raw = raw
        self._omissions = omissions
        self._about = about
        self._path = path

    def __getitem__(self, key: str) -> "Value":
        """Return the value under `key` of an object."""
        raw: object = None
        if isinstance(self._raw, Mapping):
            raw = self._raw.get(key)
        elif self._raw is not None:
            self.omit("an object")
        return self._child(raw, key)

    def __bool__(self) -> bool:
        """Return whether the value is present, and no empty object, list or text."""
        return self._raw is not None and self._raw not in ("", {}, [], ())

    def __contains__(self, key: str) -> bool:
        """Return whether an object has a value under `key`, null included."""
        return isinstance(self._raw, Mapping) and key in self._raw

    @property
    def raw(self) -> object:
        """The value as it came, to compare it with others."""
        return self._raw

    def about(self, id: str) -> "Value":
        """Return the same value as one of the resource `id`."""
        return Value(self._raw, self._omissions, id, self._path)

    def instead(self, raw: object) -> "Value":
        """Return another value at the same place, such as a part of the key of this one."""
        return Value(raw, self._omissions, self._about, self._path)

    def omit(self, wanted: str) -> None:
        """Log that the value is not as expected."""
        self._omissions.note(self._about, self._path, wanted, self._raw)

    def each(self) -> "Iterator[Value]":
        """Return the elements of a list."""
        if isinstance(self._raw, list | tuple):
            for raw in self._raw:
                yield self._child(raw, "*")
        elif self._raw is not None:
            self.omit("a list")

    def entries(self) -> "Iterator[tuple[str, Value]]":
        """Return the keys of an object with their values."""
        if isinstance(self._raw, Mapping):
            for key, raw in self._raw.items():
                if isinstance(key, str):
                    yield _utf8(key), self._child(raw, "*")
        elif self._raw is not None:
            self.omit("an object")

    def text(self) -> str:
        """Return a text; empty if missing."""
        if isinstance(self._raw, str):
            return _utf8(self._raw)
        if self._raw is not None:
            self.omit("a text")
        return ""

    def texts(self) -> tuple[str, ...]:
        """Return the texts of a list."""
        return tuple(each.text() for each in self.each() if each.is_text())

    def mapping(self) -> dict[str, str]:
        """Return an object whose values are texts."""
        return {key: value.text() for key, value in self.entries() if value.is_text()}

    def is_text(self) -> bool:
        """Return whether the value is a text; log anything else."""
        if not isinstance(self._raw, str):
            self.omit("a text")
            return False
        return True

    def flag(self) -> bool:
        """Return a truth value; false if missing."""
        if self._raw is not None and not isinstance(self._raw, bool):
            self.omit("true or false")
        return self._raw is True

    def number(self, low: int = 0, high: int = MOST) -> int | None:
        """Return a whole number from `low` to `high`, or a text of its digits."""
        raw = self._raw
        if raw is None:
            return None
        number = _whole(raw)
        if number is None or not low <= number <= high:
            self.omit(f"a number from {low} to {high}")
            return None
        return number

    def count(self, high: int = MOST) -> int:
        """Return a count; 0 if missing."""
        return self.number(0, high) or 0

    def seconds(self, low: int = 0, high: int = MOST) -> timedelta | None:
        """Return a whole number of seconds."""
        number = self.number(low, high)
        return None if number is None else timedelta(seconds=number)

    def nanoseconds(self) -> timedelta | None:
        """Return a positive number of nanoseconds, to the microsecond; None for zero."""
        number = self.count()
        return timedelta(microseconds=number // 1000) if number else None

    def time(self) -> datetime | None:
        """Return a time of ISO 8601 in UTC, which is also the default time zone."""
        if self._raw is None or self._raw == "":
            return None
        try:
            moment = datetime.fromisoformat(self._raw)  # type: ignore[arg-type] # mypy: of any type, hence the except
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            self.omit("a time")
            return None

    def timestamp(self) -> datetime | None:
        """Return a time that is a number of seconds since 1970, to the second, in UTC."""
        if isinstance(self._raw, float) and math.isfinite(self._raw):
            number: int | None = math.floor(self._raw)
        else:
            number = self.number(-MOST, MOST)
        try:
            return None if number is None else datetime.fromtimestamp(number, UTC)
        except (ValueError, OverflowError, OSError):
            self.omit("a time")
            return None

    def one_of(self, table: Mapping[str, T], other: T | None = None) -> T | None:
        """Return the entry of a word in `table`; `other` for a word without an entry."""
        word = self._raw
        if word is None:
            return None
        if isinstance(word, str) and word not in table and other is not None:
            return other
        if not isinstance(word, str) or word not in table:
            self.omit(f"one of {', '.join(filter(None, table))}")
            return None
        return table[word]

    def _child(self, raw: object, key: str) -> "Value":
        path = f"{self._path}.{key}" if self._path else key
        return Value(raw, self._omissions, self._about, path)


NOTHING = Value(None, Unlogged())
"""A missing value."""


def parse_json(body: bytes) -> object:
    """Parse JSON that may contain invalid UTF-8, and numbers of any length.

    Raises:
        ValueError: the body is no JSON, or nested too deeply.
    """
    text = body.decode(errors="replace")
    try:
        try:
            return json.loads(text)
        except ValueError:
            # Python refuses numbers of some thousand digits.
            return json.loads(text, parse_int=_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def saturated(number: int) -> int:
    """Return a sum or a product, limited to the largest number of the contract."""
    return min(number, MOST)


def _whole(raw: Any) -> int | None:
    match raw:
        case bool():
            return None
        case int():
            return raw
        case float():
            return int(raw) if math.isfinite(raw) and raw.is_integer() else None
        case str() if len(raw) <= _LONGEST_NUMBER:
            try:
                return int(raw)
            except ValueError:
                return None
        case _:
            return None


def _number(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def _utf8(text: str) -> str:
    """Return a text with lone surrogates replaced, which UTF-8 does not permit."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
