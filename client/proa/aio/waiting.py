"""Waiting until a condition holds for a resource, for asyncio."""

import asyncio
from typing import Any

from proa import v1
from proa.errors import Error
from proa.waiting import WaitState


async def wait(resources: Any, state: WaitState) -> v1.Resource | None:
    """Wait until the condition holds. See `Client.wait`."""
    while True:
        try:
            if lookup := state.lookup():
                found = await resources.GetResource(lookup, timeout=state.deadline())
                state.found(found.resource)
            answer: v1.WaitResourceResponse = await resources.WaitResource(
                state.request(), timeout=state.deadline()
            )
        except Error as error:
            pause = state.fail(error)
        else:
            return answer.resource if answer.HasField("resource") else None
        await asyncio.sleep(pause)
