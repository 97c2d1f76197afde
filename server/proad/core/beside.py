"""Work beside a block, whose failure ends the block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` while the block runs: its error cancels the block and is raised instead.

    Its end without an error changes nothing, and the end of the block cancels it.
    """
    task = asyncio.ensure_future(work)
    try:
        async with asyncio.timeout(None) as limit:
            over = False

            def end_block(done: asyncio.Future[None]) -> None:
                failed = not done.cancelled() and done.exception() is not None
                if failed and not over and not limit.expired():
                    limit.reschedule(asyncio.get_running_loop().time())

            task.add_done_callback(end_block)
            try:
                yield
            finally:
                over = True  # the callback may be on its way
                task.remove_done_callback(end_block)
    except TimeoutError:
        if not limit.expired():
            raise
        task.result()
    finally:
        task.cancel()
        with suppress(BaseException):
            await task
