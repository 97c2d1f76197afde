"""Long work in slices: the same result, and others are served in between."""

import asyncio
import random
import time

from proad.core import slices
from proad.core.slices import in_slices, sorted_in_slices


async def test_items_sorted_in_slices_are_sorted_as_at_once():
    draw = random.Random(1)
    for count in (0, 1, 511, 512, 513, 5_000):
        items = [draw.randrange(500) for _ in range(count)]

        assert await sorted_in_slices(items, lambda item: -item) == sorted(items, reverse=True)


async def test_equal_items_sorted_in_slices_keep_their_order():
    items = [(number % 3, number) for number in range(3_000)]

    got = await sorted_in_slices(items, lambda item: item[0])

    assert got == sorted(items, key=lambda item: item[0])


async def test_others_get_their_turn_between_slices(monkeypatch):
    monkeypatch.setattr(slices, "_SLICE", 0.001)
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for _ in in_slices(range(10)):
        time.sleep(0.002)  # noqa: ASYNC251 - the work itself
    task.cancel()

    assert turns >= 9
