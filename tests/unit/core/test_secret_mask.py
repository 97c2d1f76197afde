"""Secrets in logs: where they are cut, where they overlap, and what looking for them costs."""

import asyncio
import random

import pytest

from proad.core.secret_mask import MASK, SecretMask
from proad.core.slices import TimeSlicer
from proad.model import LogLine
from rpc.loop_time import longest_callback

LOOP_TIME = 0.020  # that one callback may take
SECRET = "correct-horse-battery"
LONG = "".join(chr(ord("a") + number % 26) + str(number) for number in range(30))


async def mask_of(*secrets: str) -> SecretMask:
    return await SecretMask.of(secrets, TimeSlicer())


async def told(secrets: list[str], *parts: bytes, ended: bool = True) -> bytes:
    """Return what is told of a line that comes in parts."""
    mask = await mask_of(*secrets)
    lines = [LogLine(part, partial=True) for part in parts[:-1]]
    lines.append(LogLine(parts[-1], partial=not ended))
    return b"".join([line.data for each in lines for line in await mask.lines([each])]) + b"".join(
        line.data for line in mask.rest()
    )


@pytest.mark.parametrize("secret", [SECRET, LONG])
async def test_log_that_begins_or_ends_within_a_secret_shows_nothing_of_it(secret: str):
    word = secret.encode()
    for cut in range(4, len(word) - 3):
        assert await told([secret], word[cut:] + b" more") == b"*** more"
        assert await told([secret], word[cut:], b" more") == b"*** more"
        assert await told([secret], b"x" * 100 + word[:cut], ended=False) == b"x" * 100 + MASK


async def test_each_output_of_a_log_may_begin_within_a_secret():
    mask = await mask_of(SECRET)
    lines = [LogLine(b"battery", is_stderr=each) for each in (False, True, False)]
    assert [line.data for line in await mask.lines(lines)] == [MASK, MASK, b"battery"]


@pytest.mark.parametrize("number", [0, 100])
async def test_secrets_that_overlap_are_one_mask_wherever_they_are_cut(number: int):
    others = [f"other-{each}" for each in range(number)]
    secrets = ["abcdef", "defghi", "ghijkl", LONG, *others]
    line = b"before abcdefghijkl " + LONG.encode() + b" between " + LONG.encode() * 2 + b" after"
    wanted = b"before *** *** between ****** after"
    assert await told(secrets, line) == wanted
    for cut in range(len(line)):
        assert await told(secrets, line[:cut], line[cut:]) == wanted
        assert await told(secrets, line[:cut], line[cut : cut + 3], line[cut + 3 :]) == wanted
    assert await told(secrets, *(line[at : at + 1] for at in range(len(line)))) == wanted


@pytest.mark.parametrize("number", [0, 100])
async def test_repeated_secret_is_masked_throughout(number: int):
    others = [f"other-{each}" for each in range(number)]
    assert await told(["aaaa", *others], b"b", b"a" * 50, b"a" * 9, b"a" * 9 + b"b") == b"b***b"


async def test_short_ends_of_secrets_are_not_masked():
    assert await told([SECRET], b"ery well") == b"ery well"


async def test_lines_without_secrets_are_told_as_they_came():
    lines = [LogLine(bytes([random.randrange(256) for _ in range(9)])) for _ in range(9)]
    assert await (await mask_of(SECRET)).lines(lines) == lines


async def test_work_does_not_grow_with_the_length_of_a_secret():
    # By its whole length at each place, this would be hours.
    mask = await mask_of("a" * 130_000 + "b", "a" * 129_000 + "c")
    found = [*await mask.lines([LogLine(b"a" * 16_384, partial=True)] * 100), *mask.rest()]
    assert b"".join(line.data for line in found) == MASK


async def test_work_does_not_grow_with_the_number_of_secrets():
    # By each of them at each place, this would be minutes.
    secret = "\n".join(f"{number:06x}" for number in range(0, 2**24, 400))
    line = LogLine(b"0123456789abcde/" * 1024)
    assert len(await (await mask_of(secret)).lines([line] * 100)) == 100


@pytest.mark.parametrize("number", [0, 100])
async def test_long_lines_are_masked_as_short_ones_are(number: int):
    others = [f"other-{each}" for each in range(number)]
    text = "".join(random.choice([SECRET, LONG, "-", "plain text "]) for _ in range(2000)).encode()
    wanted = text.replace(SECRET.encode(), MASK).replace(LONG.encode(), MASK)
    mask = await mask_of(SECRET, LONG, *others)
    lines = [LogLine(text, time=1), LogLine(text, is_stderr=True), LogLine(b"", time=2)]
    assert await mask.lines(lines) == [line._replace(data=line.data and wanted) for line in lines]
    assert mask.rest() == []


MANY = [f"{number:06x}" for number in range(0, 2**24, 500)]
OF_ALL_SIZES = ["a" * (4 + number % 28) + f"{number:03}" for number in range(1000)]


@pytest.mark.parametrize(
    ("secrets", "data"),
    [(["abcd"], b"abcd" * 4096), (MANY, b"a111" * 4096), (OF_ALL_SIZES, b"a" * 16_384)],
    ids=["one", "many", "of all sizes"],
)
async def test_others_are_served_while_what_is_mostly_secret_is_masked(
    monkeypatch: pytest.MonkeyPatch, secrets: list[str], data: bytes
):
    slicer = TimeSlicer()

    async def read_log():
        mask = await SecretMask.of(["\n".join(secrets)], slicer)
        await mask.lines([LogLine(data, partial=True)] * 20)
        mask.rest()

    shortest = 1.0
    for _ in range(5):  # a busy machine makes single tries slow
        with longest_callback(monkeypatch) as longest:
            async with asyncio.TaskGroup() as group:
                for _ in range(2):
                    group.create_task(read_log())
        shortest = min(shortest, longest.seconds)
        if shortest < LOOP_TIME:
            return
    pytest.fail(f"{longest.what} took {shortest * 1000:.0f} ms")
