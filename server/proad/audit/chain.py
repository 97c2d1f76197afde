"""The lines of the log, each with the value of a keyed chain.

A line is a JSON object that ends with "mac": the HMAC-SHA-256 of the value of the line before and
of all that the line has before it. So nobody without the key can change, move, add or take away a
line but at the end.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GENESIS = bytes(32)
"""The value before the first line of all."""

_LINE = re.compile(rb'(\{.*),"mac":"([0-9a-f]{64})"\}', re.DOTALL)


def _written(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"no value of a line: {type(value)}")
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


_encode = json.JSONEncoder(separators=(",", ":"), default=_written).encode


def key_id(key: bytes) -> str:
    """Return the id of a key, which reveals nothing about the key."""
    return hashlib.sha256(b"proa audit key id" + key).hexdigest()[:32]


def content(fields: Mapping[str, Any]) -> bytes:
    """Return the fields of a line as JSON, without the braces; empty ones are left out."""
    kept = {name: value for name, value in fields.items() if value is not None and value != ""}
    return _encode(kept)[1:-1].encode()


def seal(key: bytes, before: bytes, sequence: int, content: bytes) -> tuple[bytes, bytes]:
    """Return a line with its number, and the value of the chain at it.

    Args:
        key: the key of the chain.
        before: value at the line before.
        sequence: number of the line.
        content: the fields of the line, as `content` returned them.
    """
    body = b'{"sequence":%d,%b' % (sequence, content)
    value = hmac.digest(key, before + body, "sha256")
    return _sealed(body, value), value


def _sealed(body: bytes, value: bytes) -> bytes:
    return b'%b,"mac":"%b"}\n' % (body, value.hex().encode())


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read.

    Attributes:
        sequence: its number.
        fields: all its fields.
        body: what the value of the chain covers.
        value: value of the chain, as the line has it.
    """

    sequence: int
    fields: dict[str, Any]
    body: bytes
    value: bytes

    @property
    def size(self) -> int:
        """Its bytes, with its end."""
        return len(_sealed(self.body, self.value))

    def succeeds(self, sequence: int) -> bool:
        """Return whether its number is the next one, or it tells which lines are missing."""
        if self.sequence == sequence + 1:
            return True
        missing = self.fields.get("missing_from"), self.fields.get("missing_to")
        return missing == (sequence + 1, self.sequence - 1)

    def follows(self, key: bytes, before: bytes) -> bool:
        """Return whether the line is as it was written after the line with a value."""
        return hmac.compare_digest(self.value, hmac.digest(key, before + self.body, "sha256"))


def parse(text: bytes) -> Line | None:
    """Return the line that a text without its end is; None: it is none."""
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or type(sequence := fields.get("sequence")) is not int:
        return None
    return Line(sequence, fields, match[1], bytes.fromhex(match[2].decode()))
