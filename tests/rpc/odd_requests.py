"""Odd requests: random bytes, mutated messages, valid messages with odd values."""

import random
from collections.abc import Callable

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

TEXTS = (
    *("", "web", "vm", "container/web", "domain/vm", "local", "proa-test/busybox:1", "name"),
    *("..", "/", "\0", "\ud7ff", "a" * 300, "😀" * 80, "<domain/>", "%s%n", "10.0.0.1", "-1"),
    *("<domain><name>x</name><memory>65536</memory></domain>", "name desc", "state_detail"),
)
NUMBERS = (0, 1, -1, 2, 3, 80, 65535, 65536, 2**26, 2**31 - 1, -(2**31), 2**63 - 1)
SECONDS = (-1, 0, 1, 60, 3601, 315576000000, -315576000001, 2**63 - 1)
MOST_DEEP = 4


class OddRequests:
    """Makes requests of one message type after another, from one seed.

    Args:
        seed: what all that is random comes from.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def data(self, cls: type[Message]) -> bytes:
        """Return bytes that may or may not be a message of a type."""
        draw = self._random
        match draw.randrange(10):
            case 0:
                return draw.randbytes(draw.choice((0, 1, 2, 5, 20, 200, 2000)))
            case 1:
                return self._mutated(self._message(cls).SerializeToString())
            case 2:
                return self._message(cls).SerializeToString() + draw.randbytes(draw.randrange(9))
            case _:
                return self._message(cls).SerializeToString()

    def _mutated(self, data: bytes) -> bytes:
        draw, changed = self._random, bytearray(data or b"\x0a\x00")
        for _ in range(draw.randrange(1, 5)):
            at = draw.randrange(len(changed))
            match draw.randrange(4):
                case 0:
                    changed[at] = draw.randrange(256)
                case 1:
                    changed[at] ^= 1 << draw.randrange(8)
                case 2:
                    del changed[at:]
                case _:
                    changed[at:at] = draw.randbytes(draw.randrange(1, 9))
            if not changed:
                break
        return bytes(changed)

    def _message(self, cls: type[Message], depth: int = 0) -> Message:
        message = cls()
        fields = message.DESCRIPTOR.fields
        likely = 0.75 if len(fields) < 8 else 0.2
        for field in fields:
            if self._random.random() < likely:
                self._fill(message, field, depth)
        return message

    def _entry(self, there, field, depth):
        """Add an entry to a map."""
        key, kind = self._random.choice(TEXTS), field.message_type.fields_by_name["value"]
        if kind.message_type is None:
            there[key] = self._random.choice(TEXTS)
        else:
            there[key].MergeFrom(self._message(GetMessageClass(kind.message_type), depth + 1))

    def _fill(self, message, field, depth):
        draw = self._random
        if message.DESCRIPTOR.full_name in {
            "google.protobuf.Duration",
            "google.protobuf.Timestamp",
        }:
            value = draw.choice(SECONDS if field.name == "seconds" else (0, 1, -1, 2**31 - 1))
            setattr(message, field.name, value)
            return
        there = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(draw.randrange(4)):
                self._entry(there, field, depth)
        elif field.message_type is not None:
            if depth < MOST_DEEP:
                inner = GetMessageClass(field.message_type)
                for _ in range(draw.randrange(4) if field.is_repeated else 1):
                    into = there.add() if field.is_repeated else there
                    into.SetInParent()
                    into.MergeFrom(self._message(inner, depth + 1))
        elif field.is_repeated:
            there.extend(self._single(field) for _ in range(draw.randrange(5)))
        else:
            setattr(message, field.name, self._single(field))

    def _single(self, field):
        draw = self._random
        limits: dict[int, tuple[int, int]] = {
            field.TYPE_INT32: (-(2**31), 2**31 - 1),
            field.TYPE_INT64: (-(2**63), 2**63 - 1),
        }
        others: dict[int, Callable[[], object]] = {
            field.TYPE_STRING: lambda: draw.choice(TEXTS),
            field.TYPE_BYTES: lambda: draw.randbytes(draw.randrange(9)),
            field.TYPE_BOOL: lambda: draw.random() < 0.5,
            field.TYPE_ENUM: lambda: draw.randrange(-1, 12),
            field.TYPE_DOUBLE: lambda: draw.choice((0.0, -1.0, 1e308, float("nan"), float("inf"))),
        }
        if field.type in others:
            return others[field.type]()
        low, high = limits[field.type]
        return draw.choice([number for number in NUMBERS if low <= number <= high])
