"""Waiting until a resource is as somebody wants it, for asyncio."""

import asyncio
from collections.abc import Awaitable, Callable

from grpc import StatusCode

from proa import v1
from proa.aio.watching import Watch
from proa.errors import Cancelled, Details, NotFound
from proa.waiting import Goal, Seen


async def wait(
    get: Callable[[v1.GetResourceRequest], Awaitable[v1.GetResourceResponse]],
    watch: Callable[[v1.ResourceFilter], Watch],
    goal: Goal,
) -> v1.Resource | None:
    """Wait for it."""
    seen: Seen | None = None
    try:
        async with asyncio.timeout(goal.timeout):
            try:
                resource = (await get(goal.request())).resource
            except NotFound as error:
                goal.missing(error)
                return None
            seen = Seen(goal, resource)
            if seen.done():
                return resource
            async with watch(seen.filter()) as events:
                async for event in events:
                    seen.take(event)
                    if seen.done():
                        return seen.last
    except TimeoutError:
        raise goal.timed_out(None if seen is None else seen.last) from None
    raise Cancelled(StatusCode.CANCELLED, Details("the client was closed"))
