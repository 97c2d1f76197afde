"""Secrets in logs: where they are cut, where they overlap, and what looking for them costs."""

import random

import pytest

from proad.core.secret_mask import MASK, SecretMask
from proad.model import LogLine

SECRET = "correct-horse-battery"
LONG = "".join(chr(ord("a") + number % 26) + str(number) for number in range(30))


def told(secrets: list[str], *parts: bytes, ended: bool = True) -> bytes:
    """Return what is told of a line that comes in parts."""
    mask = SecretMask(secrets)
    lines = [LogLine(part, partial=True) for part in parts[:-1]]
    lines.append(LogLine(parts[-1], partial=not ended))
    return b"".join(line.data for each in lines for line in mask.lines([each])) + b"".join(
        line.data for line in mask.rest()
    )


@pytest.mark.parametrize("secret", [SECRET, LONG])
def test_log_that_begins_or_ends_within_a_secret_shows_nothing_of_it(secret: str):
    word = secret.encode()
    for cut in range(4, len(word) - 3):
        assert told([secret], word[cut:] + b" more") == b"*** more"
        assert told([secret], word[cut:], b" more") == b"*** more"
        assert told([secret], b"x" * 100 + word[:cut], ended=False) == b"x" * 100 + MASK


def test_each_output_of_a_log_may_begin_within_a_secret():
    mask = SecretMask([SECRET])
    lines = [LogLine(b"battery", is_stderr=each) for each in (False, True, False)]
    assert [line.data for line in mask.lines(lines)] == [MASK, MASK, b"battery"]


@pytest.mark.parametrize("number", [0, 100])
def test_secrets_that_overlap_are_one_mask_wherever_they_are_cut(number: int):
    others = [f"other-{each}" for each in range(number)]
    secrets = ["abcdef", "defghi", "ghijkl", LONG, *others]
    line = b"before abcdefghijkl " + LONG.encode() + b" between " + LONG.encode() * 2 + b" after"
    wanted = b"before *** *** between ****** after"
    assert told(secrets, line) == wanted
    for cut in range(len(line)):
        assert told(secrets, line[:cut], line[cut:]) == wanted
        assert told(secrets, line[:cut], line[cut : cut + 3], line[cut + 3 :]) == wanted
    assert told(secrets, *(line[at : at + 1] for at in range(len(line)))) == wanted


@pytest.mark.parametrize("number", [0, 100])
def test_repeated_secret_is_masked_throughout(number: int):
    others = [f"other-{each}" for each in range(number)]
    assert told(["aaaa", *others], b"b", b"a" * 50, b"a" * 9, b"a" * 9 + b"b") == b"b***b"


def test_short_ends_of_secrets_are_not_masked():
    assert told([SECRET], b"ery well") == b"ery well"


def test_lines_without_secrets_are_told_as_they_came():
    lines = [LogLine(bytes([random.randrange(256) for _ in range(9)])) for _ in range(9)]
    assert SecretMask([SECRET]).lines(lines) == lines


def test_work_does_not_grow_with_the_length_of_a_secret():
    # By its whole length at each place, this would be hours.
    mask = SecretMask(["a" * 130_000 + "b", "a" * 129_000 + "c"])
    found = [*mask.lines([LogLine(b"a" * 16_384, partial=True)] * 100), *mask.rest()]
    assert b"".join(line.data for line in found) == MASK


def test_work_does_not_grow_with_the_number_of_secrets():
    # By each of them at each place, this would be minutes.
    secret = "\n".join(f"{number:06x}" for number in range(0, 2**24, 400))
    line = LogLine(b"0123456789abcde/" * 1024)
    assert len(SecretMask([secret]).lines([line] * 100)) == 100
