"""What runs in the containers of these tests, and a way to wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from proad.model import ContainerSpec, Resource

IMAGE = "proa-test/busybox:1"
LABEL = "proa-test"

# Process 1 gets no signal that it has no handler for.
DEAF = ("sleep", "3600")
OBEDIENT = ("sh", "-c", 'trap "exit 0" TERM; echo ready; sleep 3600 & wait')
SLOW = ("sh", "-c", 'trap "sleep 3; exit 0" TERM; echo ready; sleep 3600 & wait')


class Make(Protocol):
    """Makes a container that goes away at the end of the test."""

    async def __call__(self, *command: str, start: bool = True, **fields: Any) -> Resource: ...

    def spec(self, *command: str, **fields: Any) -> ContainerSpec: ...


async def eventually(
    what: Callable[[], Awaitable[bool]], *, within: float = 30.0, every: float = 0.05
) -> None:
    async with asyncio.timeout(within):
        while not await what():  # noqa: ASYNC110 - an engine sets no asyncio.Event
            await asyncio.sleep(every)
