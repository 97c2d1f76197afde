"""The deadline of a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.errors import EngineTimedOutError

# The most of the caller's time that the answer to an expired deadline may take.
_MOST_SHARE = 0.2


def before(remaining: float, margin: float) -> float:
    """Return the seconds in which a call has to end, so that its answer arrives in time."""
    return max(remaining - min(remaining * _MOST_SHARE, margin), 0.0)


@asynccontextmanager
async def deadline(remaining: float, margin: float) -> AsyncIterator[None]:
    """Cancel the block so long before the caller gives up that an answer still arrives.

    Args:
        remaining: seconds until the caller gives up.
        margin: seconds for the answer; never more than a fifth of `remaining`.

    Raises:
        EngineTimedOutError: the block took too long. A TimeoutError of the block itself is
            raised as it is.
    """
    limit = asyncio.timeout(before(remaining, margin))
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise EngineTimedOutError("the engine") from None
