"""Lines of a log that are too long, and where they are cut."""

import pytest

from proad.drivers.log_lines import LogLines
from proad.model import LONGEST_LINE


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u20ac", "\U0001f600"])
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("piece", [1000, LONGEST_LINE, 10 * LONGEST_LINE])
def test_parts_of_a_line_have_whole_characters(character: str, before: int, piece: int):
    text = "-" * before + character * (3 * LONGEST_LINE // len(character.encode()))
    data = text.encode() + b"\n"
    lines = LogLines()
    found = [
        line
        for start in range(0, len(data), piece)
        for line in lines.take(data[start : start + piece])
    ]

    assert "".join(line.data.decode() for line in found) == text
    assert all(LONGEST_LINE - 4 < len(line.data) <= LONGEST_LINE for line in found[:-1])
    assert [line.partial for line in found] == [True] * (len(found) - 1) + [False]


def test_parts_of_what_is_no_text_are_as_long_as_can_be():
    lines = LogLines()
    found = lines.take(b"\x80" * (2 * LONGEST_LINE + 1) + b"\n")

    assert [len(line.data) for line in found] == [LONGEST_LINE, LONGEST_LINE, 1]
