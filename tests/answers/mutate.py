"""Mutates ordinary answers into odd ones, deterministically by seed."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from lxml import etree

_DEEP: Any = "deep"
for _ in range(60):
    _DEEP = [_DEEP]

# Stands for a number of more digits than Python itself reads.
_LONG = "long number"
ODD: Sequence[Any] = (
    _LONG,
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**32,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    -(2**70),
    10**4200,
    0.5,
    -0.0,
    1e300,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "-1",
    "48000-48010",
    "9" * 5000,
    "١٢",
    "1_0",
    "no",
    "\0",
    "\ud800",
    "a\udfffb",
    "\u202e",
    "é" * 300,
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999999-12:00",
    "2026-02-30T00:00:00Z",
    "yesterday",
    [],
    {},
    [None],
    [[], {}, None, 1, "x"],
    {"": None},
    {"\ud800": {"a": []}},
    {"80/tcp": [{"HostPort": "48000-48010"}, None, {"HostPort": 7}]},
    _DEEP,
)
_TEXTS = (
    *(odd for odd in ODD if isinstance(odd, str) and odd.isprintable()),
    "18446744073709551616",
    "-9223372036854775809",
    "1e9",
    "&lt;",
    "]]>",
)


def odd_json(answer: Any, random: Random) -> Any:
    """Return a copy of an answer with some of its parts changed."""
    answer = json.loads(json.dumps(answer))
    for _ in range(random.choice((1, 1, 2, 4, 12))):
        answer = _changed(answer, random)
    return answer


def odd_bytes(answer: Any, random: Random) -> bytes:
    """Return an answer as the bytes that an engine may send, some of which are no UTF-8."""
    body = json.dumps(answer, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")
    body = body.replace(f'"{_LONG}"'.encode(), b"9" * 5000)
    if random.random() < 0.02:
        at = random.randrange(len(body))
        body = body[:at] + bytes((random.randrange(256),)) + body[at + 1 :]
    return body


def odd_xml(text: str, random: Random) -> str:
    """Return a document with some of its elements, attributes and texts changed."""
    root = etree.fromstring(text.encode())
    for _ in range(random.choice((1, 1, 2, 4, 12))):
        _change_element(random.choice(list(root.iter(etree.Element))), random)
    changed = etree.tostring(root, encoding="unicode")
    if random.random() < 0.05:  # no XML any more, most often
        at = random.randrange(len(changed) + 1)
        changed = changed[:at] + random.choice(("<", "&", "\0", "\ud800", "]]>", "<!--"))
    return changed


def _changed(answer: Any, random: Random) -> Any:
    """Descend at random, and change the value found."""
    if not isinstance(answer, dict | list) or not answer or random.random() < 0.05:
        return _odd(random)
    key: Any = random.choice(list(answer)) if isinstance(answer, dict) else _index(answer, random)
    match random.random():
        case dice if dice < 0.1:
            del answer[key]
        case dice if dice < 0.3:
            answer[key] = _odd(random)
        case dice if dice < 0.4:
            answer[key] = _of_another_type(answer[key])
        case dice if dice < 0.45 and isinstance(answer, dict):
            answer[random.choice(("", "x", "\ud800", key.lower()))] = answer.pop(key)
        case dice if dice < 0.5 and isinstance(answer, list):
            answer *= 2
        case _:
            answer[key] = _changed(answer[key], random)
    return answer


def _odd(random: Random) -> Any:
    return deepcopy(random.choice(ODD))


def _index(answer: list[Any], random: Random) -> int:
    return random.randrange(len(answer))


def _of_another_type(value: Any) -> Any:
    match value:
        case dict():
            return list(value.items())
        case list():
            return {str(index): each for index, each in enumerate(value)}
        case str():
            return [value]
        case _:
            return str(value)


def _change_element(element: etree._Element, random: Random) -> None:
    parent = element.getparent()
    changes: list[Callable[[], object]] = [
        lambda: setattr(element, "text", random.choice(_TEXTS)),
        lambda: setattr(element, "tag", random.choice(("x", "disk", "memory", "{urn:x}y"))),
        lambda: element.insert(0, etree.Comment("c")),
        lambda: element.append(etree.fromstring(etree.tostring(element))),
        lambda: element.set(random.choice(("unit", "id", "type", "x")), random.choice(_TEXTS)),
        element.clear,
    ]
    if element.attrib:
        name = random.choice(sorted(element.attrib))
        changes += [
            lambda: element.set(name, random.choice(_TEXTS)),
            lambda: element.attrib.pop(name),
        ]
    if parent is not None:
        changes += [
            lambda: parent.remove(element),
            lambda: parent.append(etree.fromstring(etree.tostring(element))),
        ]
    random.choice(changes)()
