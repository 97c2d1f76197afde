"""Waiting until a resource is in some state or gone, for asyncio."""

import asyncio
from collections.abc import Awaitable, Callable

from grpc import StatusCode

from proa import v1
from proa.aio.watching import Watch
from proa.errors import Cancelled, Details, NotFound
from proa.waiting import Goal, WaitProgress


async def wait(
    get: Callable[[v1.GetResourceRequest], Awaitable[v1.GetResourceResponse]],
    watch: Callable[[v1.ResourceFilter], Watch],
    goal: Goal,
) -> v1.Resource | None:
    """Wait for a goal. See `Client.wait`."""
    progress: WaitProgress | None = None
    try:
        async with asyncio.timeout(goal.timeout):
            try:
                resource = (await get(goal.request())).resource
            except NotFound as error:
                goal.check_missing(error)
                return None
            progress = WaitProgress(goal, resource)
            if progress.done():
                return resource
            async with watch(progress.filter()) as events:
                async for event in events:
                    progress.observe(event)
                    if progress.done():
                        return progress.last
    except TimeoutError:
        raise goal.timed_out(None if progress is None else progress.last) from None
    raise Cancelled(StatusCode.CANCELLED, Details("the client was closed"))
