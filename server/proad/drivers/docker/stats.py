"""Samples of the resources that containers use.

Docker measures once a second, one container after the other, and answers when it has: the
questions therefore wait side by side, on one thread. A container that hangs stops Docker's
own measuring of all the others (20.10); the rest of the engine is not touched by it.
"""

import selectors
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from datetime import timedelta

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api_version import ApiVersion
from proad.drivers.docker.http.stream import Stream
from proad.drivers.docker.http.streaming_client import StreamingClient
from proad.drivers.docker.reader import FULL_ID
from proad.drivers.docker.timing import SampleTiming
from proad.drivers.docker.view import moment
from proad.drivers.threads import EngineThreads
from proad.drivers.tolerant import Value, saturated
from proad.model import BlockStats, NetworkStats, ResourceKind, ResourceStats

# Containers that are asked at once: each needs a connection.
_AT_ONCE = 200
# Each is a process there, and answers for one container after the other.
_AT_ONCE_BY_SSH = 4
_THREADS = 2
# Before that, Docker waits for a second sample, unless it is asked for an endless stream.
_ONE_SHOT_SINCE = ApiVersion(1, 41)


class ContainerStatsCollector:
    """Takes samples of containers."""

    def __init__(self, streaming: StreamingClient, timing: SampleTiming = SampleTiming()) -> None:
        self._streaming = streaming
        self._timing = timing
        self._threads = EngineThreads(ENGINE, "stats", size=_THREADS)
        self._running = ExitStack()

    def __enter__(self) -> None:
        self._running.enter_context(self._threads)

    def __exit__(self, *_: object) -> None:
        self._running.close()

    async def stats(self, ids: Collection[str]) -> dict[str, ResourceStats]:
        """Take one sample of each; see the port."""
        known = [id for id in dict.fromkeys(ids) if FULL_ID.fullmatch(id)]
        if not known:
            return {}

        def measure() -> dict[str, ResourceStats]:
            found = ((id, sample(id, item)) for id, item in self._answers(known))
            return {id: one for id, one in found if one is not None}

        return await self._threads.run(measure, timeout=2 * self._timing.all)

    def _answers(self, ids: Iterable[str]) -> Iterator[tuple[str, Value]]:
        """Ask for all, and yield the answers as they come. Blocks."""
        waiting = deque(ids)
        at_once = _AT_ONCE_BY_SSH if self._streaming.is_ssh else _AT_ONCE
        asked: dict[Stream, tuple[str, float]] = {}
        ending: set[Stream] = set()
        end = time.monotonic() + self._timing.all.total_seconds()
        with selectors.DefaultSelector() as selector:
            try:
                while asked or (waiting and time.monotonic() < end):
                    while waiting and len(asked) < at_once:
                        stream, id = Stream(), waiting.popleft()
                        asked[stream] = id, time.monotonic() + self._timing.one.total_seconds()
                        if self._ask(id, stream):
                            ending.add(stream)
                        selector.register(stream, selectors.EVENT_READ, stream)
                    first = min(deadline for _, deadline in asked.values())
                    come = {
                        key.data for key, _ in selector.select(max(first - time.monotonic(), 0))
                    }
                    late = {s for s, (_, limit) in asked.items() if limit <= time.monotonic()}
                    for stream in come | late:
                        selector.unregister(stream)
                        id, _ = asked.pop(stream)
                        item = self._streaming.first_object(stream, id) if stream in come else None
                        if item is not None and stream in ending:
                            stream.keep()
                        stream.close()
                        if item is not None:
                            yield id, item
            finally:
                for stream in asked:
                    stream.close()

    def _ask(self, id: str, stream: Stream) -> bool:
        """Ask for a sample; return whether the answer ends with it."""
        one_shot = {"stream": 0, "one-shot": 1}
        version = self._streaming.ask(
            f"/containers/{id}/stats",
            stream,
            lambda version: one_shot if version >= _ONE_SHOT_SINCE else {"stream": 1},
            self._timing.one,
        )
        return version >= _ONE_SHOT_SINCE


def sample(id: str, item: Value) -> ResourceStats | None:
    """Convert GET /containers/{id}/stats to a sample; return None for an inactive container.

    None, too, where the engine has no numbers: what runs has used some processor time.
    """
    sample_time = moment(item["read"])
    memory = item["memory_stats"]
    used = item["cpu_stats"]["cpu_usage"]["total_usage"].count()
    if sample_time is None or not (used or memory["usage"].count()):
        return None
    return ResourceStats(
        id=id,
        kind=ResourceKind.CONTAINER,
        sample_time=sample_time,
        cpu_time=timedelta(microseconds=used / 1000),
        memory_usage_bytes=_memory(memory),
        memory_limit_bytes=memory["limit"].count(),
        network=_network(item["networks"]),
        block=_block(item["blkio_stats"]),
    )


def _memory(memory: Value) -> int:
    """Return the memory in use without the page cache that can be dropped."""
    usage, details = memory["usage"].count(), memory["stats"]
    # The first is the name in version 1 of control groups, where the other one leaves
    # out the groups below.
    name = "total_inactive_file" if "total_inactive_file" in details else "inactive_file"
    cache = details[name].count()
    return usage - cache if cache < usage else usage


def _network(interfaces: Value) -> NetworkStats:
    def total(counter: str) -> int:
        return saturated(sum(each[counter].count() for _, each in interfaces.entries()))

    return NetworkStats(
        receive_bytes=total("rx_bytes"),
        transmit_bytes=total("tx_bytes"),
        receive_packets=total("rx_packets"),
        transmit_packets=total("tx_packets"),
    )


def _block(block: Value) -> BlockStats:
    def total(counter: str, operation: str) -> int:
        # Version 1 of control groups has capital letters, and a Total besides.
        return saturated(
            sum(
                entry["value"].count()
                for entry in block[counter].each()
                if entry["op"].text().lower() == operation
            )
        )

    return BlockStats(
        read_bytes=total("io_service_bytes_recursive", "read"),
        write_bytes=total("io_service_bytes_recursive", "write"),
        read_requests=total("io_serviced_recursive", "read"),
        write_requests=total("io_serviced_recursive", "write"),
    )
