"""Wait for a condition by polling, where nothing sends a notification of the change."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_EVERY = 0.05  # seconds


async def eventually(
    condition: Callable[[], Awaitable[object] | object],
    *,
    within: float = 30.0,
    every: float = _EVERY,
) -> None:
    """Wait until a condition holds.

    Args:
        condition: a function, or a function that returns an awaitable.
        within: seconds until the wait fails.
        every: seconds between two checks.

    Raises:
        TimeoutError: the condition did not hold in time.
    """
    async with asyncio.timeout(within):
        while True:
            held = condition()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(every)


async def settled(value: Callable[[], T], *, every: float = 0.3) -> T:
    """Wait until a value is what it was at the check before, and return it.

    Args:
        value: returns the value; a false one counts as not there yet.
        every: seconds between two checks.

    Raises:
        TimeoutError: the value went on changing.
    """
    seen: list[T] = []

    def is_still() -> bool:
        seen.append(value())
        return bool(seen[-1]) and seen[-2:] == [seen[-1]] * 2

    await eventually(is_still, every=every)
    return seen[-1]


def wait_until(
    condition: Callable[[], object],
    what: Callable[[], object] | str = "",
    *,
    within: float = 60.0,
    every: float = _EVERY,
    tolerate: tuple[type[Exception], ...] = (),
) -> float:
    """Wait in this thread until a condition holds, and return the seconds that this took.

    Args:
        condition: checked until its result is true.
        what: the condition in words, or a function that describes the state at the end.
        within: seconds until the wait fails.
        every: seconds between two checks.
        tolerate: errors of the condition that mean "not yet".

    Raises:
        TimeoutError: the condition did not hold in time.
    """
    begin = time.monotonic()
    while True:
        try:
            held = condition()
        except tolerate:
            held = False
        taken = time.monotonic() - begin
        if held:
            return taken
        if taken > within:
            raise TimeoutError(f"not within {within:.0f} s: {what() if callable(what) else what}")
        time.sleep(every)


async def consistently(
    condition: Callable[[], Awaitable[object] | object],
    *,
    during: float,
    every: float = _EVERY,
) -> None:
    """Check again and again that a condition holds, for as long as a change might need to come.

    Args:
        condition: a function, or a function that returns an awaitable.
        during: seconds.
        every: seconds between two checks.

    Raises:
        AssertionError: the condition did not hold at some time.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + during
    while loop.time() < end:
        held = condition()
        assert await held if inspect.isawaitable(held) else held
        await asyncio.sleep(every)
