"""Statistics that need more than one message."""

import asyncio

from proad.core.stats_service import StatsStreamTiming
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineConflictError
from proad.timing import DaemonTiming


class Failing(MemoryDriver):
    async def stats(self, ids):
        raise EngineConflictError("memory", "x" * 4000)


async def test_stream_stats_thousands_missing_come_in_messages_below_the_default_limit(serve):
    timing = DaemonTiming(stats=StatsStreamTiming(sample_age=0.2))
    daemon = await serve(("local", Failing()), timing=timing)
    made = {(await daemon.container()).id for _ in range(1500)}
    call = daemon.call("StreamStats")
    reported: set[str] = set()
    while reported < made:
        response = await asyncio.wait_for(call.read(), 30)
        assert response, "it ended"
        reported |= {missing.id for missing in response.missing}
    call.cancel()
