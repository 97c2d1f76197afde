"""Reads of engine answers without trust in their shape."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from proad.drivers.tolerant import MOST, NOTHING, Omissions, Value, parse_json

ODD = [
    None,
    True,
    0,
    -1,
    MOST + 1,
    -(2**70),
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud800",
    "9" * 5000,
    [],
    [[None]],
    {},
    {"a": {"b": None}},
    b"bytes",
    object(),
]
READERS = {
    "text": Value.text,
    "texts": Value.texts,
    "mapping": Value.mapping,
    "flag": Value.flag,
    "number": Value.number,
    "count": Value.count,
    "seconds": Value.seconds,
    "time": Value.time,
    "timestamp": Value.timestamp,
    "one_of": lambda value: value.one_of({"x": 1}),
    "each": lambda value: list(value.each()),
    "entries": lambda value: list(value.entries()),
    "child": lambda value: value["a"]["b"].text(),
    "truth": bool,
    "contains": lambda value: "a" in value,
}


def test_word_when_unknown_is_other_and_non_text_is_none():
    with capture_logs() as logs:
        assert [value(raw).one_of({"x": 1}, 2) for raw in ("x", "y", None)] == [1, 2, None]
        assert logs == []
        assert value(5).one_of({"x": 1}, 2) is None
    assert len(logs) == 1


def value(raw: object) -> Value:
    return Value(raw, Omissions("test"), "1", "Part")


@pytest.mark.parametrize("name", READERS)
def test_reader_of_anything_does_not_raise(name: str):
    with capture_logs():
        for raw in ODD:
            READERS[name](value(raw))
            READERS[name](value({"a": raw, "b": [raw]}))


def test_absent_value_is_no_omission():
    with capture_logs() as logs:
        for read in READERS.values():
            read(NOTHING)
            read(value(None))
    assert logs == []


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (5, 5),
        (5.0, 5),
        ("5", 5),
        (MOST, MOST),
        (MOST + 1, None),
        (-1, None),
        (True, None),
        (5.5, None),
        (float("nan"), None),
        ("48000-48010", None),
        ("9" * 5000, None),
    ],
)
def test_number_out_of_range_or_of_another_type_is_left_out(raw: object, number: int | None):
    assert value(raw).number() == number


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("10000-01-01T00:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_time_is_in_utc_and_within_the_calendar(text: str, time: datetime | None):
    assert value(text).time() == time


def test_timestamp_beyond_the_calendar_is_left_out():
    assert value(10**15).timestamp() is None
    assert value(-(10**15)).timestamp() is None
    assert value(0).timestamp() == datetime(1970, 1, 1, tzinfo=UTC)


def test_seconds_are_of_a_range():
    assert value(-1).seconds(-1, 10) == timedelta(seconds=-1)
    assert value(11).seconds(-1, 10) is None


def test_text_is_utf8():
    assert value("a\ud800b").text() == "a\ufffdb"
    assert value("\ud83d\ude00").text() == "\U0001f600"
    assert value({"\udfff": "\udfff"}).mapping() == {"\ufffd": "\ufffd"}
    assert value(["a", None, 5, "b"]).texts() == ("a", "b")


def test_omission_is_logged_once_per_resource_and_part():
    omissions = Omissions("test")
    with capture_logs() as logs:
        for _ in range(3):
            for id in ("1", "2"):
                answer = Value({"Memory": "much", "Names": [1, 2, 3]}, omissions, id)
                answer["Memory"].count()
                answer["Names"].texts()
    assert [(line["resource"], line["part"], line["found"]) for line in logs] == [
        (id, part, found)
        for id in ("1", "2")
        for part, found in (("Memory", "str"), ("Names.*", "int"))
    ]
    assert "much" not in str(logs)  # the value may be a secret


def test_omissions_of_more_resources_than_are_remembered_log_the_oldest_again():
    omissions = Omissions("test", resources=10)
    with capture_logs() as logs:
        for number in (*range(11), *range(1, 11), 0):
            omissions.note(str(number), "part", "a text", None)
    assert [line["resource"] for line in logs] == [*map(str, range(11)), "0"]


def test_attempt_when_raising_returns_default():
    omissions = Omissions("test")

    def decode() -> str:
        return b"\xff".decode()

    with capture_logs() as logs:
        assert omissions.attempt("1", "title", decode, "") == ""
    assert [line["part"] for line in logs] == ["title"]


# A number that is too long for Python, and lists that are too deep for it.
BOTH = b"[%s,%s" % (b"9" * 5000, b"[" * 100_000)


def test_json_of_any_content_is_parsed():
    for text in (b'{"a": "\xff", "b": NaN, "c": 1}', b'{"a": %s, "c": 1}' % (b"9" * 5000)):
        answer: Any = parse_json(text)
        assert answer["c"] == 1
    for text in (b"", b"{", b"[" * 100_000, json.dumps("x").encode()[:-1], BOTH):
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)
